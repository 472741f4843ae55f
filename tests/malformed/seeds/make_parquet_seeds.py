"""Writes the parquet seeds; run it in this folder with pyarrow (made with 26.0.1)."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq

os.makedirs("parquet", exist_ok=True)
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
ROWS = [{"bytes": b"\x89PNG" * (n + 1), "path": f"n0144076{n}_1.JPEG"} for n in range(3)]
LABELS = [0, 1, 1]


def write(name, rows=ROWS, labels=LABELS, image=IMAGE, label=pa.int64(), names=None, **form):
    schema = pa.schema([("image", image), ("label", label)])
    if names:
        about = {"info": {"features": {"label": {"names": names}}}}
        schema = schema.with_metadata({"huggingface": json.dumps(about)})
    table = pa.table({"image": rows, "label": labels}, schema=schema)
    plain = dict(store_schema=False, write_statistics=False)
    pq.write_table(table, f"parquet/{name}.parquet", **{**plain, **form})


write("snappy-dictionary")
write("names", names=["ant", "bee"])
write("names-too-few", names=["ant"])
write("plain", compression="none", use_dictionary=False)
write("gzip", compression="gzip")
write("zstd", compression="zstd")
write("second-form", data_page_version="2.0", use_dictionary=False)
write("page-index", write_page_index=True)
write("statistics", write_statistics=True)
write("two-groups", row_group_size=2)
write("delta", use_dictionary=False, column_encoding={"label": "DELTA_BINARY_PACKED"})
write("nulls", rows=[None, {"bytes": None, "path": "a.JPEG"}, ROWS[2]], labels=[0, None, -1])
write("small-labels", label=pa.int32())
write("text-labels", labels=["a", "b", "b"], label=pa.string())
write("lists", rows=[[r] for r in ROWS], image=pa.list_(IMAGE))
write("no-path", rows=[{"bytes": b"x"}] * 3, image=pa.struct([("bytes", pa.binary())]))
write("no-rows", rows=[], labels=[])
