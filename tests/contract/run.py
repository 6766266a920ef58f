#!/usr/bin/env python3
"""run.py: runs the contract tests with the real binary: on a folder of its own, then twice at once on one folder."""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("PERIGEE_BIN", os.path.join(ROOT, "build", "perigee"))
DEADLINE_S = 300


def start(folder):
    return subprocess.Popen([PROGRAM, "script", os.path.join("tests", "contract", "run.lua")], cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, PERIGEE_DATA=folder))


def finish(process):
    """Returns (exit code, TAP lines, standard error); a run beyond the deadline has failed."""
    try:
        output, errors = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
    return process.returncode, output.decode().splitlines(), errors.decode()


def together(count):
    """Runs count processes at once on one new folder."""
    folder = tempfile.mkdtemp(prefix="perigee-contract-")
    try:
        return [finish(process) for process in [start(folder) for _ in range(count)]]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    number = failures = 0
    for label, count in (("alone", 1), ("two at once", 2)):
        for code, lines, errors in together(count):
            for line in lines:
                if line.startswith(("ok ", "not ok ")):
                    number += 1
                    verdict, rest = line.split(" - ", 1)
                    failures += verdict.startswith("not")
                    print(f"{verdict.rsplit(' ', 1)[0]} {number} - {label}: {rest}")
                elif line.startswith("#"):
                    print(line)
            if code != 0 or not any(line.startswith("1..") for line in lines):
                number += 1
                failures += 1
                print(f"not ok {number} - {label}: the run ended with {code}")
                print("# " + errors.replace("\n", "\n# "))
    print(f"1..{number}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
