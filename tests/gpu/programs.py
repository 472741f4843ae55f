"""The binaries, and running them."""
import os
import pathlib
import re
import subprocess
import sys

# Of one file that is several programs, the name by which it is started says which.
TOGETHER, INSIDE = "gpu-kit", ("supernet-train", "arch-retrain", "bench")
TESTS = "cream-nn-tests"
UNFINISHED = 75


class Unusable(Exception):
    """What was given cannot be used: one line that says what to do."""


class Broken(Exception):
    """A program failed; its status and the last line that it said."""


def say(text):
    """Progress, for people."""
    print(f"tests/gpu/run: {text}", file=sys.stderr, flush=True)


class Programs:
    """A folder of binaries: one for each program, or all in one file."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise Unusable(f"{folder}: no such folder: make gpu-kit builds the binaries, --binaries names their folder")

    def file(self, name):
        """The file that the program is in, or nothing."""
        for candidate in (name, TOGETHER) if name in INSIDE else (name,):
            file = self.folder / candidate
            if os.access(file, os.X_OK) and file.is_file():
                return file
        return None

    def tests(self):
        """The operators' tests: the file of the kit, or the newest that cargo has left here."""
        kept = self.folder / TESTS
        if kept.is_file():
            return kept
        built = [file for file in self.folder.glob("deps/cream_nn-*") if not file.suffix and os.access(file, os.X_OK)]
        return max(built, key=lambda file: file.stat().st_mtime, default=None)

    def run(self, name, *words, environment=None, allowed=(0,)):
        """What a program says on standard output and on standard error, when it ends with an allowed status."""
        file = self.file(name)
        if file is None:
            raise Unusable(f"{self.folder}: no {name}: make gpu-kit builds it, --binaries names its folder")
        command = [name, *map(str, words)]
        done = subprocess.run(command, executable=str(file), capture_output=True, text=True, env=clean(environment))
        if done.returncode not in allowed:
            raise Broken(f"{' '.join(command)}: status {done.returncode}: {last_line(done.stderr)}")
        return done

    def knows(self, name, flag):
        """Whether the program's --help lists this flag."""
        return re.search(rf"^\s+(-\w, )?{flag}\b", self.run(name, "--help").stdout, re.MULTILINE) is not None


# Where wheels keep CUDA's libraries, PyTorch's for one.
FOLDERS = """
import glob, nvidia
print(*(folder for path in nvidia.__path__ for folder in glob.glob(path + "/**/lib", recursive=True)), sep=":")
"""


def find_libraries(python):
    """Lets programs find CUDA's libraries among the wheels of this Python, after those that they find anyway."""
    try:
        found = subprocess.run([python, "-c", FOLDERS], capture_output=True, text=True).stdout.strip()
    except OSError:
        found = ""
    if found:
        said = os.environ.get("LD_LIBRARY_PATH")
        os.environ["LD_LIBRARY_PATH"] = f"{said}:{found}" if said else found


def clean(extra):
    """The environment without settings of ours that it may hold, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CREAM_")}
    return {**kept, **(extra or {})}


def last_line(text):
    """Of what a program said."""
    return (text.strip().splitlines() or ["it said nothing"])[-1]
