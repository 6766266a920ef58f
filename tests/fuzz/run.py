#!/usr/bin/env python3
"""run.py: runs one fuzz target: every kept input once, then a short search from a fixed seed. Prints TAP."""
import os
import subprocess
import sys
import tempfile

RUNS = os.environ.get("PERIGEE_FUZZ_RUNS", "20000")
SEED = os.environ.get("PERIGEE_FUZZ_SEED", "1")


def main(target, corpus):
    name = os.path.basename(target)
    kept = sorted(os.path.join(corpus, entry) for entry in os.listdir(corpus))
    steps = [("the kept corpus", kept)]
    with tempfile.TemporaryDirectory() as work:
        # New inputs go to the temporary folder; -max_total_time is only a ceiling for slow machines.
        search = [f"-seed={SEED}", f"-runs={RUNS}", "-max_total_time=60", "-timeout=60", "-rss_limit_mb=4096",
                  "-artifact_prefix=" + work + "/", work, corpus]
        steps.append(("a search from seed " + SEED, search))
        bad = False
        for number, (what, arguments) in enumerate(steps, 1):
            done = subprocess.run([target, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if done.returncode:
                bad = True
                sys.stdout.write(done.stdout.decode("utf-8", "replace")[-8000:])
                for entry in os.listdir(work):
                    if entry.startswith(("crash-", "timeout-", "oom-")):
                        with open(os.path.join(work, entry), "rb") as found:
                            print("input:", found.read(4096))
            print(f"{'not ok' if done.returncode else 'ok'} {number} - {name}: {what}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
