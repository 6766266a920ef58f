#!/usr/bin/env python3
"""test_dev.py: what ./dev run builds, it builds without the packages that only ./dev test installs."""
import os
import re
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.server import ROOT  # noqa: E402

BUILD_S = 120


def packages(variable):
    with open(os.path.join(ROOT, "dev"), encoding="utf-8") as source:
        return re.search(rf'^{variable}="([^"]+)"', source.read(), re.MULTILINE)[1].split()


def modules_of(package):
    """The names by which pkg-config knows what a Debian package brings."""
    files = subprocess.run(["dpkg", "-L", package], stdout=subprocess.PIPE, check=True).stdout.decode()
    return re.findall(r"/pkgconfig/(\S+)\.pc$", files, re.MULTILINE)


class Build(unittest.TestCase):
    def pkg_config_without(self, modules, folder):
        path = os.path.join(folder, "pkg-config")
        with open(path, "w", encoding="ascii") as script:
            script.write('#!/bin/sh\nfor word in "$@"; do\n    case $word in\n'
                         f'    {"|".join(modules)}) exit 1 ;;\n    esac\ndone\nexec pkg-config "$@"\n')
        os.chmod(path, stat.S_IRWXU)
        return path

    def run_in_root(self, *command, **variables):
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=BUILD_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        return done.stdout.decode()

    def test_the_server_needs_no_package_of_the_tests(self):
        hidden = [module for package in packages("TEST_PACKAGES") for module in modules_of(package)]
        self.assertIn("cmocka", hidden)
        with tempfile.TemporaryDirectory() as folder:
            deps = os.environ.get("PERIGEE_DEPS")
            self.run_in_root("cmake", "-G", "Ninja", "-S", ".", "-B", folder,
                        *([f"-DPERIGEE_DEPS={deps}"] if deps else []),
                        PKG_CONFIG=self.pkg_config_without(hidden, folder))
            steps = self.run_in_root("ninja", "-C", folder, "-t", "commands", "perigee")
        self.assertIn("core/main.c", steps)
        self.assertNotIn("/tests/", steps)


if __name__ == "__main__":
    main()
