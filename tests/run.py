#!/usr/bin/env python3
"""run.py: runs the parts of the test suite in order and adds their results up.

A part is a function that returns a list of (name, output, passed, failed). The closing line is
"N passed, N failed"; the exit code is 0 only when nothing failed and every part counted something.
"""
import concurrent.futures
import functools
import glob
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEPS = os.environ.get("PERIGEE_DEPS", os.path.expanduser("~/.cache/perigee/deps"))
ASAN = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:allocator_may_return_null=1:quarantine_size_mb=32",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "PERIGEE_SANITIZED": "1",
}
# Seconds after which a single program counts as hung. Twenty times what the slowest takes, for busy machines.
CEILING = 900
# The explicit short run: without the tests that need servers.
EMBEDDED = os.environ.get("ENGINES") == "embedded"
# Run by tests/chaos/test_postgres_driver.py, which has servers for it.
ON_SERVERS = "_test_postgres_server"
OK = re.compile(r"^ok\b", re.M)
NOT_OK = re.compile(r"^not ok\b(?!.*# SKIP)", re.M)
SKIPPED = re.compile(r"^(?:not )?ok\b.*# SKIP.*", re.M)


def execute(name, argv, env=None, cwd=ROOT, ceiling=CEILING):
    """Runs a program that prints TAP lines; a bad exit without a "not ok" counts as one failure."""
    whole = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", PYTHONPATH=os.path.join(ROOT, "tests"), **(env or {}))
    try:
        done = subprocess.run(argv, env=whole, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=ceiling, check=False)
        output, code = done.stdout.decode("utf-8", "replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        output, code = (late.stdout or b"").decode("utf-8", "replace") + "\nhung", 124
    passed, failed = len(OK.findall(output)), len(NOT_OK.findall(output))
    if code != 0 and failed == 0:
        failed = 1
    if code == 0 and passed == 0:
        output, failed = output + "\nno test ran", 1
    return name, output, passed, failed


def check(name, argv, cwd=ROOT):
    """Runs a checker that only says yes or no: one test."""
    done = subprocess.run(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return name, done.stdout.decode("utf-8", "replace"), int(done.returncode == 0), int(done.returncode != 0)


def many(jobs, workers=2):
    """Runs several (name, argv, env) side by side; the machine has two cores."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda job: execute(*job), jobs))


def listed(*patterns):
    files = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    return [name for name in files.decode().split("\n") if name and os.path.exists(os.path.join(ROOT, name))]


def part_format():
    return [check("clang-format", ["clang-format-14", "--dry-run", "-Werror", *listed("*.c", "*.h")])]


def part_luacheck():
    return [check("luacheck", ["luacheck", "-q", *listed("scripts/*.lua", "examples/*.lua", "tests/contract/*.lua")])]


def part_arrows():
    return [check("arrows", ["python3", "tests/arrows.py"])]


def part_lint():
    return [check("lint", ["python3", "tests/lint.py"])]


def build(folder, *options):
    steps = [["cmake", "-G", "Ninja", "-S", ".", "-B", folder, "-DPERIGEE_DEPS=" + DEPS, *options],
             ["ninja", "-C", folder, "--quiet"]]
    for step in steps:
        result = check("build " + folder, step)
        if result[3]:
            break
    return [result]


def part_build():
    return build("build")


def units(folder, env=None):
    programs = sorted(glob.glob(os.path.join(ROOT, folder, "unit", "unit_*")))
    programs = [name for name in programs if not name.endswith(ON_SERVERS)]
    return many([(os.path.basename(program), [program], env) for program in programs])


def part_unit():
    return units("build")


def contract(folder, env=None):
    binary = os.path.join(ROOT, folder, "perigee")
    return [execute("contract", ["python3", "tests/contract/run.py"], dict(env or {}, PERIGEE_BIN=binary))]


def part_contract():
    return contract("build")


def scripts(pattern, folder, env=None, workers=2):
    binary = os.path.join(ROOT, folder, "perigee")
    whole = dict(env or {}, PERIGEE_BIN=binary)
    files = sorted(glob.glob(os.path.join(ROOT, "tests", pattern)))
    if EMBEDDED:
        files = [name for name in files if not os.path.basename(name).startswith(("test_redis_", "test_postgres_"))]
    return many([(os.path.relpath(name, ROOT), ["python3", name], whole) for name in files], workers)


def part_wire():
    return scripts("wire/test_*.py", "build")


def part_system():
    return scripts("system/test_*.py", "build")


def part_hostile():
    return scripts("hostile/test_*.py", "build")


def part_examples():
    return scripts("examples/test_*.py", "build")


def part_chaos():
    """Each point once; `./dev chaos` does more of each."""
    return scripts("chaos/test_*.py", "build")


def part_asan():
    results = build("build-asan", "-DPERIGEE_SANITIZE=ON")
    if results[0][3]:
        return results
    results += units("build-asan", ASAN) + contract("build-asan", ASAN)
    for pattern in ("wire/test_*.py", "system/test_*.py", "hostile/test_*.py", "examples/test_*.py", "chaos/test_*.py"):
        results += scripts(pattern, "build-asan", ASAN)
    return results


def part_fuzz():
    """Each target: the kept corpus, then a short run from a fixed seed, so that the same tree gives the same result."""
    results = build("build-fuzz", "-DPERIGEE_SANITIZE=ON", "-DPERIGEE_FUZZ=ON", "-DCMAKE_C_COMPILER=clang-14")
    if results[0][3]:
        return results
    jobs = []
    for source in listed("tests/fuzz/fuzz_*.c"):
        name = os.path.basename(source)[:-2]
        argv = ["python3", "tests/fuzz/run.py", os.path.join(ROOT, "build-fuzz", name),
                os.path.join(ROOT, "tests", "fuzz", "corpus", name)]
        jobs.append((name, argv, ASAN))
    return results + many(jobs)


def chaos(names):
    """The chaos tests of these names (none: all) as parts."""
    files = glob.glob(os.path.join(ROOT, "tests", "chaos", "test_*.py"))
    known = {os.path.basename(name)[5:-3] for name in files}
    for name in names:
        if name not in known:
            raise SystemExit(f"run.py: no such chaos test: {name} (there are {', '.join(sorted(known))})")
    return {name: functools.partial(scripts, f"chaos/test_{name}.py", "build") for name in names or sorted(known)}


PARTS = {name[5:]: value for name, value in list(globals().items()) if name.startswith("part_")}


def main(argv):
    if argv == ["--list"]:
        print("\n".join(PARTS))
        return 0
    parts = PARTS
    if argv[:1] == ["--chaos"]:
        parts, argv = chaos(argv[1:]), []
    unknown = [name for name in argv if name not in parts]
    if unknown:
        print(f"run.py: no such part: {', '.join(unknown)} (--list names them)", file=sys.stderr)
        return 2
    if EMBEDDED:
        print("ENGINES=embedded: what needs Redis or PostgreSQL is left out", flush=True)
    passed = failed = 0
    for part in argv or parts:
        start = time.monotonic()
        good = bad = 0
        for name, output, ok, not_ok in parts[part]():
            good, bad = good + ok, bad + not_ok
            for line in SKIPPED.findall(output):
                print(f"skipped: {name}: {line}", flush=True)
            if not_ok:
                print(f"--- {part}: {name}\n{output}\n---", flush=True)
        if good + bad == 0 and not (EMBEDDED and part == "chaos"):
            bad = 1
            print(f"--- {part}: nothing ran", flush=True)
        passed, failed = passed + good, failed + bad
        print(f"{part}: {good} passed, {bad} failed ({time.monotonic() - start:.0f} s)", flush=True)
        if part == "build" and bad:
            break
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
