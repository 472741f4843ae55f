"""Tests of the script's own functions: `run --self-test`."""
import pathlib
import struct
import tempfile

import operators
import report
import speed
import training
from report import FAILED, MEASURED, NO_MEMORY, OK, Row

# As libtest prints with --show-output: a test that measured, one that failed, one that took the process down.
SAID = """
running 4 tests
test ops::gate::tests::agrees_with_the_definition ... ok
test ops::gate::tests::gradients_agree_with_differences ... FAILED
test ops::pool::tests::left_out ... ignored
test ops::pool::tests::gradient_agrees_with_differences ... 
successes:

---- ops::gate::tests::agrees_with_the_definition stdout ----
error 2e-7 of 1e-5: gate
error 4e-3 of 1e-2: gate in bf16

failures:

---- ops::gate::tests::gradients_agree_with_differences stdout ----
error 5e-1 of 1e-4: argument 0

thread 'ops::gate::tests::gradients_agree_with_differences' (7) panicked at lib/nn/src/ops/check.rs:40:5:
argument 0: error 5e-1 above 1e-4
note: run with `RUST_BACKTRACE=1`

test result: FAILED. 1 passed; 1 failed; 1 ignored
"""


def the_output_of_tests():
    found = {test.name.split("::", 1)[1]: test for test in report.tests(SAID)}
    assert len(found) == 3, found
    errors = found["gate::tests::agrees_with_the_definition"].errors
    assert errors == ((2e-7, 1e-5, "gate"), (4e-3, 1e-2, "gate in bf16")), errors
    failed = found["gate::tests::gradients_agree_with_differences"]
    assert not failed.passed and failed.message == "argument 0: error 5e-1 above 1e-4", failed
    assert "ended in it" in found["pool::tests::gradient_agrees_with_differences"].message
    assert operators.operator("ops::gate::tests::x") == "gate" and operators.operator("on_device::x") is None


def rows_of_tests():
    good, bad = report.Test("a", True, "", ((2e-7, 1e-5, "x"), (4e-3, 1e-2, "y"))), report.Test("b", False, "off")
    row = report.tests_row("operators", "gate", [good])
    assert (row.result, row.ours) == (OK, "1 of 1 hold") and "4.0e-03 of 1e-02 (y)" in row.note, row
    row = report.tests_row("operators", "gate", [good, bad])
    assert (row.result, row.ours, row.note) == (FAILED, "1 of 2 hold", "b: off"), row


def curves_that_agree_and_do_not():
    assert report.relative_gap([1.0, 2.0], [1.0, 1.0]) == (1.0, 1)
    assert report.relative_gap([float("nan")], [1.0])[0] == float("inf")
    assert report.curve_row("search", "x", [2.0, 1.01], [2.0, 1.0], 0.02).result == OK
    assert report.curve_row("search", "x", [2.0, 1.03], [2.0, 1.0], 0.02).result == FAILED
    for short, other in ([], []), ([2.0], [2.0, 1.0]):
        assert report.curve_row("search", "x", short, other, 0.02).result == FAILED


def the_table():
    lines = report.table([Row("bench", "a|b", OK, "1"), Row("all", "c", FAILED, note="two\nlines")]).splitlines()
    assert len({len(line) for line in lines}) == 1 and len(lines) == 4, lines
    assert "a\\|b" in lines[2] and "two lines" in lines[3]
    assert report.spread([3.0, 1.0, 2.0]) == "2.00 (1.00..3.00)" and report.spread([1.5]) == "1.50"
    assert report.out_of_memory("DriverError(CUDA_ERROR_OUT_OF_MEMORY, ...)")
    assert report.out_of_memory("CUDA out of memory. Tried") and not report.out_of_memory("no memory of it")


class Measured:
    """A context of the benchmark."""
    peer = type("Peer", (), {"missing": None})


def a_row_of_the_benchmark():
    own = {"images_per_s": 2000.0, "ms_per_step": 128.0, "floor_percent": 50.0, "activations_gb_per_s": 1000.0,
           "copy_gb_per_s": 2000.0, "launches_per_step": 321.0}
    case = speed.GOAL[:3]
    row = speed.case_row(Measured, case, "train", [own, own], [{"ms": [256.0]}, {"ms": [128.0, 192.0, 256.0]}])
    assert (row.result, row.ratio) == (MEASURED, "1.75 (1.50..2.00)"), row
    assert row.note.startswith("goal 1.5: met; 128.00 ms, floor 50 %, 1000 of the copy's 2000 GB/s (50%), 321"), row
    row = speed.case_row(Measured, case, "train", [own], [{"ms": [130.0]}])
    assert row.note.startswith("goal 1.5: missed"), row
    row = speed.case_row(Measured, case, "train", [own], [{"error": "CUDA out of memory."}])
    assert (row.result, row.peer, row.ratio) == (MEASURED, "out of memory", ""), row
    row = speed.case_row(Measured, case, "train", [{"error": "CUDA_ERROR_OUT_OF_MEMORY"}], [{"error": ""}])
    assert row.result == NO_MEMORY, row
    assert speed.case_row(Measured, case, "train", [{"error": "no"}], [{"error": ""}]).result == FAILED


def weights(values, name="w"):
    """A safetensors file of one tensor."""
    said = f'{{"{name}":{{"dtype":"F32","shape":[{len(values)}],"data_offsets":[0,{4 * len(values)}]}}}}'.encode()
    return struct.pack("<Q", len(said)) + said + struct.pack(f"<{len(values)}f", *values)


def weights_that_differ():
    with tempfile.TemporaryDirectory() as folder:
        a, b = pathlib.Path(folder) / "a", pathlib.Path(folder) / "b"
        for ours, theirs, expected in [([1, 2], [1, 2], (0.0, "none")), ([1, 3], [1, 4], (0.25, "w")),
                                       ([float("nan")], [1], None), ([1], [1, 2], None)]:
            a.write_bytes(weights(ours))
            b.write_bytes(weights(theirs))
            gap = training.weights_gap(a, b)
            assert gap == expected if expected else not gap[0] < 1e9, gap


def run():
    """Runs them all; the first that fails ends the script."""
    tests = [the_output_of_tests, rows_of_tests, curves_that_agree_and_do_not, the_table, a_row_of_the_benchmark,
             weights_that_differ]
    for test in tests:
        test()
    print(f"{len(tests)} tests of the script hold")
    return 0
