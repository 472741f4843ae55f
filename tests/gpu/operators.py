"""Operators and whole networks: the tests of the crate cream-nn, with what they run in f32 and bf16 on the device."""
import re
import subprocess

from programs import clean, say
from report import FAILED, NOT_RUN, Row, tests, tests_row

# What has no kernel for a device: its tests say nothing about one.
ON_THE_HOST = {"activation", "buffer", "element", "lanes", "product", "simd", "threads", "window"}


def ordinal(device):
    """N of cuda:N; nothing for the CPU."""
    return None if device == "cpu" else device.partition(":")[2] or "0"


def run_tests(binary, device):
    """All tests of operators and networks, one after the other: (tests, what went wrong besides)."""
    number = ordinal(device)
    environment = clean({} if number is None else {"CREAM_TEST_CUDA": number})
    threads = ["--test-threads", "1"] if number is not None else []
    command = [str(binary), "ops::", "on_device::", "--show-output", *threads]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = tests(done.stdout)
    # With libtest's 0 and 101 all that went wrong is in its output.
    wrong = "" if done.returncode in (0, 101) else f"the process ended with status {done.returncode}"
    return found, wrong


def operator(name):
    """`gate` of `ops::gate::tests::gradients_agree_with_differences`."""
    match = re.match(r"ops::(?:cuda::)?(\w+)::", name)
    return match.group(1) if match else None


def rows(context, wanted):
    """The rows of the sections `operators` and `gradients`, as far as they are wanted."""
    binary = context.programs.tests()
    if binary is None:
        note = f"no tests of cream-nn in {context.programs.folder}: make gpu-kit builds them"
        return [Row(section, "all", NOT_RUN, note=note) for section in wanted]
    say("operators and gradients")
    found, wrong = run_tests(binary, context.device)
    groups = {}
    for test in found:
        name = operator(test.name)
        if name in ON_THE_HOST:
            continue
        gradient = name is None or "gradient" in test.name
        case = name or "network: " + test.name.split("::")[-1].replace("_", " ")
        groups.setdefault(("gradients" if gradient else "operators", case), []).append(test)
    out = [tests_row(section, case, groups[section, case])
           for section in wanted for section_of, case in sorted(groups) if section_of == section]
    for section in wanted:
        if wrong or not any(row.section == section for row in out):
            reason = wrong or "no test ran: is this the binary of cream-nn's tests?"
            out.append(Row(section, "all", FAILED, note=reason))
    return out
