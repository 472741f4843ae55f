"""Writes the seeds that can be stated in a few lines; run it in this folder.

Seeds are small valid files and files each damaged in one way. Cases that a fuzzer found are beside
them, as `found-*`, and are not written here.
"""

import copy
import gzip
import hashlib
import io
import json
import os
import struct
import tarfile
import zlib

CONFIGS = "../../../configs"


def write(target, name, content):
    os.makedirs(target, exist_ok=True)
    content = content if isinstance(content, bytes) else content.encode()
    with open(f"{target}/{name}", "wb") as out:
        out.write(content)


def line(value):
    return json.dumps(value, separators=(",", ":"))


def damaged(base, change):
    value = copy.deepcopy(base)
    change(value)
    return line(value)


def block(**fields):
    base = dict(operator="inverted-residual", kernel=3, stride=1, expansion=4.0, channels=8,
                activation="relu", squeeze_excite=None)
    return dict(base, **fields)


def published():
    with open(f"{CONFIGS}/arch/14.json") as file:
        return json.load(file)


def small_network():
    net = published()
    net.pop("provenance", None)
    net.update(name="small", image_size=8, num_classes=2)
    net["stem"].update(channels=8)
    squeeze = {"width": 8, "activation": "swish", "gate": "sigmoid"}
    net["stages"] = [
        [block(operator="depthwise-separable", expansion=None)],
        [block(), block(squeeze_excite=squeeze)],
        [block(operator="convolution", kernel=1, expansion=None)],
    ]
    net["head"].update(channels=16)
    return net


def architectures():
    net = small_network()

    def put(name, content):
        write("architecture", name, content)

    put("small.json", line(net) + "\n")
    put("published-14.json", line(published()) + "\n")
    put("two-lines.jsonl", (line(net) + "\n") * 2)
    provenance = dict(source="search", space="cream", path=[[0], [3, 3], [3, 3], [1], [3]],
                      run="runs/x", seed=1, index=2, step=30, batch_top1=0.5,
                      validation_top1=0.1234567890123456, flops=14, params=15,
                      supernet_sha256="ab")
    put("provenance.json", line(dict(net, provenance=provenance)))
    other = copy.deepcopy(net)
    other["padding"] = "same"
    other["input"]["evaluation"] = {"method": "pad-crop"}
    other["head"].update(position="before-pool", activation="h-swish")
    put("same-padding-head-before-pool.json", line(other))
    for name, change in {
        "unknown-key": lambda n: n.update(depth=3),
        "newer-version": lambda n: n.update(version=2),
        "huge-channels": lambda n: n["stem"].update(channels=2**64 - 1),
        "huge-image": lambda n: n.update(image_size=4097),
        "even-kernel": lambda n: n["stages"][1][0].update(kernel=4),
        "strides-beyond-image": lambda n: n.update(image_size=1),
        "expansion-of-nothing": lambda n: n["stages"][1][0].update(expansion=0),
        "expansion-tiny": lambda n: n["stages"][1][0].update(expansion=5e-324),
        "negative": lambda n: n.update(num_classes=-1),
        "no-stages": lambda n: n.update(stages=[]),
        "costliest": lambda n: n.update(image_size=4096, stages=[[block(
            operator="convolution", kernel=31, expansion=None, channels=16384)] * 2]),
    }.items():
        put(f"{name}.json", damaged(net, change))
    put("number-beyond-doubles.json", line(net).replace('"momentum":0.1', '"momentum":1e999'))
    put("deep.json", "[" * 5000)
    put("duplicate-key.json", line(net)[:-1] + ',"version":1}')
    put("lone-surrogate.json", line(net).replace('"small"', '"\\ud800"'))


def small_space():
    return dict(
        format="cream-space", version=1, name="s", activation="swish", padding="half",
        input={"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2],
               "evaluation": {"method": "pad-crop"}},
        norm={"epsilon": 1e-5, "momentum": 0.1},
        stem={"kernel": 3, "stride": 2, "channels": 8, "activation": "swish"},
        first={"kernel": 3, "stride": 1},
        squeeze_excite={"ratio": 0.25, "activation": "relu", "gate": "hard-sigmoid"},
        choices=[{"kernel": 3, "expansion": 4.0}, {"kernel": 5, "expansion": 6.0}],
        stages=[{"channels": 8, "stride": 1, "max_layers": 2, "released_choice": 0},
                {"channels": 16, "stride": 2, "max_layers": 3}],
        last={"channels": 16},
        head={"position": "after-pool", "channels": 16, "activation": "swish"},
        growth={"sizes": [16, 8], "start": [1, 2], "order": [2, 1]})


def boards():
    def entry(path, flops, params, top1, validation):
        return dict(path=path, flops=flops, params=params, batch_top1=top1,
                    validation_top1=validation, step=7)

    board = dict(
        format="cream-board", version=1, space=small_space(), depths=[1, 2], image_size=16,
        num_classes=3, interval={"flops_min": 0, "flops_max": None}, seed=1,
        entries=[entry([[0], [1, 0]], 0, 0, 0.5, 0.25),
                 entry([[1], [1, 1]], 0, 0, 0.75, None)])

    def put(name, content):
        write("board", name, content)

    put("two-entries.json", line(board) + "\n")
    put("no-entries.json", damaged(board, lambda b: b.update(entries=[])))
    for name, change in {
        "wrong-flops": lambda b: b["entries"][0].update(flops=1),
        "wrong-params": lambda b: b["entries"][1].update(params=0),
        "unknown-key": lambda b: b["entries"][1].update(top1=0),
        "newer-version": lambda b: b.update(version=2),
        "score-above-one": lambda b: b["entries"][0].update(batch_top1=1.5),
        "choice-out-of-range": lambda b: b["entries"][0].update(path=[[9], [0, 0]]),
        "other-depths": lambda b: b["entries"][0].update(path=[[0], [0]]),
        "no-depths": lambda b: b.update(depths=[]),
        "deep": lambda b: b.update(depths=[100, 100]),
        "interval-wrong-way": lambda b: b.update(interval={"flops_min": 2, "flops_max": 1}),
        "no-choices": lambda b: b["space"].update(choices=[]),
        "huge-choice": lambda b: b["space"]["choices"][0].update(expansion=1e300),
        "released-choice-out-of-range":
            lambda b: b["space"]["stages"][0].update(released_choice=2),
        "sizes-not-falling": lambda b: b["space"]["growth"].update(sizes=[8, 16]),
        "order-of-stage-zero": lambda b: b["space"]["growth"].update(order=[0]),
        "huge-classes": lambda b: b.update(num_classes=2**64 - 1),
    }.items():
        put(f"{name}.json", damaged(board, change))


def toml(value):
    """Enough of TOML for a space: inline tables at the top level."""
    def inline(item):
        if isinstance(item, dict):
            return "{" + ", ".join(f"{key} = {inline(v)}" for key, v in item.items()) + "}"
        if isinstance(item, list):
            return "[" + ", ".join(map(inline, item)) + "]"
        return json.dumps(item)
    return "".join(f"{key} = {inline(item)}\n" for key, item in value.items())


def configs():
    def put(name, content):
        write("config", name, content)

    search = """flops-max = 3.5
flops-min = 0
image-size = 32
depths = [1, 2, 2, 1, 1]
epochs = 60
batch = 64
learning-rate = 0.0625
momentum = 0.9
warmup-epochs = 45
pick-method = "meta"
prior = [1, 2.5, 1, 1, 1, 1]
scale = [0.08, 1.0]
transform = "pad-crop"
seed = 7
device = "cpu"
"""
    retrain = """optimizer = "adamw"
schedule = "step"
schedule-per-step = true
decay-epochs = 2.4
dropout = 0.2
ema-decay = 0.9999
augment = "none"
"""
    put("search.toml", search)
    put("retrain.toml", retrain)
    put("space.toml", toml(small_space()))
    put("empty.toml", "# nothing\n")
    for name, text in {
        "unknown-key": "epoch = 3\n",
        "section": "[search]\nepochs = 3\n",
        "dotted": "a.b.c = 3\n",
        "nan": "learning-rate = nan\n",
        "infinity": "prior = [1, -inf]\n",
        "largest-integer": "seed = 9223372036854775807\n",
        "beyond-integers": "seed = 9223372036854775808\n",
        "negative": "epochs = -1\n",
        "float-for-integer": "epochs = 3.0\n",
        "date": "seed = 2020-01-01\n",
        "deep": "prior = " + "[" * 2000 + "\n",
        "deep-tables": "a = " + "{a=" * 500 + "\n",
        "delete-character": 'device = "\\u007f\\n"\n',
        "smallest-double": "momentum = 5e-324\n",
        "seventeen-digits": "momentum = 0.12345678901234567\n",
        "null-like": 'prior = "null"\n',
    }.items():
        put(f"{name}.toml", text)
    for name, change in {
        "space-huge-choice": lambda s: s["choices"][0].update(expansion=1e300),
        "space-no-sizes": lambda s: s["growth"].update(sizes=[]),
        "space-unknown-key": lambda s: s.update(depth=3),
    }.items():
        space = small_space()
        change(space)
        put(f"{name}.toml", toml(space))
    # Every size and every choice was built: 45 s.
    many = small_space()
    many["choices"] = [{"kernel": 3, "expansion": 0.1 * n} for n in range(1, 65)]
    many["stages"] = [{"channels": 8, "stride": 1, "max_layers": 100}] * 10
    many["growth"] = {"sizes": list(range(1100, 1000, -1)), "start": [98] * 10,
                      "order": [10] * 100 + list(range(1, 11)) * 9}
    put("space-largest.toml", toml(many))
    # Grew by one layer at a time, each time counting the whole: 28 s.
    many["stages"] = [{"channels": 8, "stride": 1, "max_layers": 100}] * 64
    many["growth"] = {"sizes": [512], "start": [1] * 64, "order": list(range(1, 65))}
    put("space-deepest.toml", toml(many))


def tensors():
    def put(name, header, data=b"", length=None):
        text = header if isinstance(header, bytes) else line(header).encode()
        length = len(text) if length is None else length
        write("tensors", name, struct.pack("<Q", length) + text + data)

    def tensor(dtype, shape, start, end):
        return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}

    ours = {"cream": line({"format": "cream-weights", "version": 1, "weights": "raw"})}
    data = struct.pack("<2f", 1.0, -2.5)
    pair = tensor("F32", [2], 0, 8)
    put("two.safetensors", {"__metadata__": ours, "a": pair,
                            "b": tensor("I64", [1, 1], 8, 16)}, data + b"\1" + b"\0" * 7)
    put("foreign.safetensors", {"conv.weight": pair}, data)
    put("every-type.safetensors", {
        "a": tensor("F64", [1], 0, 8), "b": tensor("U32", [1], 8, 12),
        "c": tensor("U8", [2, 2], 12, 16)}, bytes(16))
    put("half.safetensors", {"a": tensor("F16", [2], 0, 4), "b": tensor("BF16", [2], 4, 8)},
        bytes(8))
    put("scalar.safetensors", {"a": tensor("F32", [], 0, 4)}, bytes(4))
    put("nothing-in-it.safetensors", {"a": tensor("F32", [0, 3], 0, 0)})
    put("not-a-number.safetensors", {"a": tensor("F32", [1], 0, 4)}, b"\xff" * 4)
    weights = dict(format="cream-weights", version=1, weights="ema",
                   architecture=small_network(), classes=["ant", "bee"])
    supernet = dict(format="cream-supernet", version=1, space=small_space(), depths=[1, 2],
                    image_size=16, num_classes=2, seed=1)
    run = {"run": dict(format="cream-checkpoint", version=1, kind="search", settings={}, data=""),
           "state": {}}
    for name, description in {
        "described-weights": weights,
        "described-supernet": supernet,
        "described-checkpoint": run,
        "described-logits": dict(format="cream-logits", version=1),
        "described-newer": dict(weights, version=2),
        "described-unknown": dict(format="cream", version=1),
        "described-classes-missing": dict(weights, classes=["ant"]),
        "described-as-a-list": [1],
    }.items():
        put(f"{name}.safetensors", {"__metadata__": {"cream": line(description)}, "a": pair}, data)
    put("unsupported-type.safetensors", {"a": tensor("BOOL", [1], 0, 1)}, b"\1")
    put("huge-shape.safetensors", {"a": tensor("F32", [2**32, 2**32], 0, 0)})
    put("huge-shape-of-nothing.safetensors", {"a": tensor("F32", [0, 2**40, 2**40], 0, 0)})
    put("many-dimensions.safetensors", {"a": tensor("U8", [1] * 1000, 0, 1)}, b"\1")
    put("huge-offsets.safetensors", {"a": tensor("F32", [2], 2**64 - 9, 2**64 - 1)}, data)
    put("offsets-wrong-way.safetensors", {"a": tensor("F32", [2], 8, 0)}, data)
    put("overlapping.safetensors", {"a": pair, "b": pair}, data)
    put("gap.safetensors", {"a": tensor("F32", [1], 4, 8)}, data)
    put("more-data.safetensors", {"a": pair}, data + b"\0")
    put("less-data.safetensors", {"a": pair}, data[:-1])
    put("huge-header.safetensors", {}, length=2**63)
    put("header-past-the-end.safetensors", {}, length=100)
    put("metadata-not-json.safetensors", {"__metadata__": {"cream": "{"}})
    put("metadata-deep.safetensors", {"__metadata__": {"cream": "[" * 5000}})
    put("metadata-not-text.safetensors", {"__metadata__": {"cream": 3}})
    put("metadata-float.safetensors", {"__metadata__": {"cream": "0.12345678901234567"}})
    put("not-utf8.safetensors", b'{"\xff":3}')
    put("duplicate-name.safetensors",
        f'{{"a":{line(pair)},"a":{line(pair)}}}'.encode(), data)


def png(width, height, row, colour=0, depth=8, interlaced=0, rows=None):
    def chunk(kind, content):
        return (struct.pack(">I", len(content)) + kind + content
                + struct.pack(">I", zlib.crc32(kind + content)))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress((b"\0" + row) * (rows or height))) + chunk(b"IEND", b""))


def tar(samples):
    """A shard as they are written, and where its images lie."""
    out = io.BytesIO()
    places = []
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for key, label, image in samples:
            for name, content in ((f"{key}.png", image), (f"{key}.cls", str(label).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
                if name.endswith(".png"):
                    places.append(archive.offset - 512 * -(-len(content) // 512))
    return out.getvalue(), places


def bare(samples):
    """Images one after the other, which is all of a shard that is read."""
    places = [sum(len(image) for _, _, image in samples[:at]) for at in range(len(samples))]
    return b"".join(image for _, _, image in samples), places


def shard_sets():
    shard_set(tar, "as-written-")
    shard_set(bare, "")


def shard_set(shard, prefix):
    grey = png(2, 2, b"\x10\x80")
    train, train_at = shard([("a", 0, grey), ("b", 0, grey), ("a", 1, grey)])
    val, val_at = shard([("v", 0, grey)])
    head = "key,class,shard,offset,length,search_val\n"
    size = len(grey)
    rows = [f"a,0,0,{train_at[0]},{size},0\n", f"b,0,0,{train_at[1]},{size},1\n",
            f"a,1,0,{train_at[2]},{size},0\n"]
    train_table = head + "".join(rows)
    val_table = head + f"v,0,0,{val_at[0]},{size},0\n"

    def record(name, content):
        content = content if isinstance(content, bytes) else content.encode()
        return {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def split(name, samples, marked, table, shard):
        return {"samples": samples, "search_validation": marked,
                "table": record(f"{name}-table.csv", table),
                "shards": [record(f"{name}-000000.tar", shard)]}

    index = {"format": "cream-shards", "version": 1, "classes": ["ant", "bee"],
             "splits": {"train": split("train", 3, 1, train_table, train),
                        "val": split("val", 1, 0, val_table, val)}, "made": {}}

    def put(name, index=line(index), train_table=train_table, train=train, val_table=val_table,
            val=val):
        parts = [index, train_table, train, val_table, val]
        parts = [part if isinstance(part, bytes) else part.encode() for part in parts]
        write("shards", prefix + name, b"\n%%\n".join(parts))

    put("three-and-one")
    if prefix:
        return
    put("images-damaged", train=train.replace(b"IDAT", b"IDOT"))
    put("no-val", val_table=head, val=b"")
    put("table-without-header", train_table="".join(rows))
    put("table-not-utf8", train_table=train_table.encode() + b"\xff")
    for name, row in {
        "length-zero": "b,0,0,0,0,0\n",
        "past-the-end": "b,0,0,0,100000,0\n",
        "offset-overflows": "b,0,0,18446744073709551615,10,0\n",
        "class-out-of-range": "b,2,0,0,10,0\n",
        "shard-out-of-range": "b,0,1,0,10,0\n",
        "key-twice": "a,0,0,0,10,0\n",
        "key-empty": ",1,0,0,10,0\n",
        "fields-missing": "b,0\n",
        "fields-more": "b,0,0,0,10,0,0\n",
        "plus-sign": "b,+0,+0,+512,+10,0\n",
        "carriage-return": "b,0,0,0,10,0\r\n",
        "no-image": "b,0,0,1,20,0\n",
    }.items():
        put(f"row-{name}", train_table=head + rows[0] + row)
    for name, change in {
        "wrong-checksum": lambda i: i["splits"]["train"]["table"].update(sha256="0" * 64),
        "upper-case-checksum": lambda i: i["splits"]["val"]["table"].update(sha256="A" * 64),
        "wrong-size": lambda i: i["splits"]["train"]["shards"][0].update(bytes=1),
        "huge-size": lambda i: i["splits"]["val"]["shards"][0].update(bytes=2**64 - 1),
        "folder-in-name": lambda i: i["splits"]["val"]["table"].update(file="../x"),
        "absolute-name": lambda i: i["splits"]["val"]["table"].update(file="/etc/passwd"),
        "zero-in-name": lambda i: i["splits"]["val"]["table"].update(file="a\0b"),
        "folder-as-table": lambda i: i["splits"]["val"]["table"].update(file="."),
        "shard-as-table": lambda i: i["splits"]["val"]["table"].update(file="val-000000.tar"),
        "no-classes": lambda i: i.update(classes=[]),
        "no-shards": lambda i: i["splits"]["train"].update(shards=[]),
        "newer-version": lambda i: i.update(version=2),
        "unknown-key": lambda i: i.update(seed=1),
        "huge-samples": lambda i: i["splits"]["train"].update(samples=2**63),
        "more-marked-than-there-are":
            lambda i: i["splits"]["train"].update(search_validation=2**31),
    }.items():
        put(f"index-{name}", index=damaged(index, change))
    put("index-deep", index="[" * 5000)
    write("shards", "nothing", b"")


def images():
    def put(name, content):
        write("image", name, content)

    put("grey.png", png(2, 2, b"\x10\x80"))
    put("rgb-16-bit.png", png(2, 2, b"\x10\x80" * 6, colour=2, depth=16))
    put("rgba.png", png(2, 2, b"\x10\x80\x20\x90" * 2, colour=6))
    put("grey-alpha.png", png(2, 2, b"\x10\x80" * 2, colour=4))
    put("one-bit.png", png(9, 2, b"\xaa\x80", depth=1))
    put("no-palette.png", png(2, 2, b"\0\1", colour=3))
    put("no-pixels.png", png(0, 2, b""))
    put("huge.png", png(2**31 - 1, 2**31 - 1, b"", rows=1))
    put("64-mi-pixels-claimed.png", png(8192, 8192, b"", rows=1))
    put("less-data-than-claimed.png", png(100, 2, b"\x10"))
    put("interlaced.png", png(2, 2, b"\x10\x80", interlaced=1))
    put("cut.png", png(2, 2, b"\x10\x80")[:-20])
    put("text.png", b"not an image")
    photographs = "../../data/plankton"
    smallest = sorted((os.path.getsize(os.path.join(folder, name)), os.path.join(folder, name))
                      for folder, _, names in os.walk(photographs)
                      for name in names if name.endswith(".jpg"))
    with open(smallest[0][1], "rb") as file:
        jpeg = file.read()
    put("photograph.jpg", jpeg)
    put("cut.jpg", jpeg[:len(jpeg) // 2])
    put("header-only.jpg", jpeg[:200])


def tar_of(members, format=tarfile.USTAR_FORMAT):
    """A tar of (name, content or type of link, extra fields)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes) and len(content) == 1:
                info.type = content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    # One empty block ends it; the rest is of no use here.
    content = out.getvalue().rstrip(b"\0")
    return content + b"\0" * (-len(content) % 512 + 512)


def meta_mat(compress):
    def element(kind, data):
        return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)

    def matrix(kind, name, *content):
        head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<ii", 1, 1))
        return element(14, head + element(1, name) + b"".join(content))

    names = b"".join(name.ljust(16, b"\0") for name in (b"ILSVRC2012_ID", b"WNID", b"words"))
    fields = [matrix(6, b"", element(9, struct.pack("<d", 1))),
              matrix(4, b"", element(16, b"n01440764")),
              matrix(4, b"", element(4, "tench".encode("utf-16-le")))]
    synsets = matrix(2, b"synsets", struct.pack("<HHI", 5, 4, 16), element(1, names), *fields)
    if compress:
        packed = zlib.compress(synsets)
        synsets = struct.pack("<II", 15, len(packed)) + packed
    return b"MATLAB".ljust(124) + b"\0\1IM" + synsets


def archives():
    def put(name, content):
        write("archive", name, content)

    image = png(1, 1, b"\x10")
    folders = [("train/ant/1.png", image), ("val/ant/2.png", image)]
    put("class-folders.tar", tar_of(folders))
    put("tar-of-tars.tar", tar_of([("n01440764.tar", tar_of([("1.JPEG", image)]))]))
    long = "ant/" + "x" * 120 + ".png"
    put("gnu-long-name.tar", tar_of([(long, image)], tarfile.GNU_FORMAT))
    put("pax-long-name.tar", tar_of([("ant/\u00e9" + "x" * 120 + ".png", image)], tarfile.PAX_FORMAT))
    put("links.tar", tar_of([("ant/1.png", image), ("ant/2.png", b"2"), ("ant/3.png", b"1")]))
    put("escape.tar", tar_of([("ant/1.png", image), ("../../ant/2.png", image)]))
    put("no-images.tar", tar_of([("readme", b"text")]))
    put("cut.tar", tar_of(folders)[:1200])
    whole = bytearray(tar_of(folders))
    whole[124:136] = b"\x80" + b"\0" * 3 + b"\x7f" * 8
    put("huge-size.tar", bytes(whole))
    whole[124:136] = b"\xff" * 12
    put("negative-size.tar", bytes(whole))
    put("wrong-checksum.tar", tar_of(folders).replace(b"0000644", b"0000645", 1))
    truth = ("kit/data/ILSVRC2012_validation_ground_truth.txt", b"1\n1\n")
    for name, compress in (("devkit.tar", False), ("devkit-deflated.tar", True)):
        put(name, tar_of([("kit/data/meta.mat", meta_mat(compress)), truth]))
    kit = tar_of([("kit/data/meta.mat", meta_mat(False)), truth])
    put("devkit.tar.gz", gzip.compress(kit, mtime=0))
    put("devkit-bomb.tar.gz", gzip.compress(b"\0" * (80 << 20), mtime=0))


def idx_files():
    def put(name, content):
        write("idx", name, content)

    header = struct.pack(">IIII", 0x803, 2, 2, 3)
    put("two-images", header + bytes(12))
    put("two-images.gz", gzip.compress(header + bytes(12), mtime=0))
    put("no-images", struct.pack(">IIII", 0x803, 0, 2, 3))
    put("one-too-few", header + bytes(11))
    put("one-too-many", header + bytes(13))
    put("huge", struct.pack(">IIII", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1))
    put("four-gigabytes", struct.pack(">IIII", 0x803, 1, 2**16, 2**16))
    put("labels", struct.pack(">II", 0x801, 2) + bytes(2))
    put("header-cut", header[:10])
    put("magic-alone", header[:4])
    put("cut.gz", gzip.compress(header + bytes(12), mtime=0)[:-9])
    put("nothing", b"")


def list_files():
    def put(name, content):
        write("list", name, content)

    put("two-lines.csv", "path,label\na.png,1\nb.png,2\n")
    put("other-order.csv", " label , path \n1,a.png\n")
    put("more-columns.csv", "path,width,label\na.png,3,ant\n")
    put("quoted.csv", 'path,label\n"a, b.png","ant ""x"""\n')
    put("quote-open.csv", 'path,label\n"a.png,ant\n')
    put("no-label.csv", "path,class\na.png,1\n")
    put("empty-path.csv", "path,label\n,1\n")
    put("one-field-more.csv", "path,label\na.png,1,2\n")
    put("not-utf-8.csv", b"path,label\ncaf\xe9.png,caf\xe9\n")
    put("carriage-returns.csv", "path,label\r\na.png,1\r\n")
    put("no-lines.csv", "path,label\n")
    put("nothing.csv", "")

if __name__ == "__main__":
    architectures()
    boards()
    configs()
    tensors()
    shard_sets()
    images()
    archives()
    idx_files()
    list_files()
