#!/usr/bin/env python3
"""test_readme.py: does what README.md tells its reader to do, in its order, on a server of its own.

Blocks of commands are run, blocks of Lua are put where the sentence before them says; so README cannot rot.
"""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402
from lib.server import BINARY, ROOT  # noqa: E402

ID_HERE = "THE-ID-FROM-ABOVE"
COMMAND_S = 120


def sections(text):
    """{heading: [(the paragraph before, an indented block)]}"""
    found, heading, prose = {}, "", ""
    for part in re.split(r"\n\n+", text):
        if part.startswith("#"):
            heading = part.lstrip("# ").split("\n")[0]
        elif all(line.startswith("    ") for line in part.split("\n")):
            found.setdefault(heading, []).append((prose, "\n".join(line[4:] for line in part.split("\n"))))
        prose = part
    return found


def commands(block):
    return block.replace("\\\n", " ").split("\n")


class Readme(Case):
    @classmethod
    def prepare(cls):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as source:
            cls.text = source.read()
        done = cls.server.run("import", "--tenant", "acme", os.path.join(ROOT, "demo", "acme.csv"))
        assert done.returncode == 0, done.stderr

    def execute(self, command, product):
        """The output of one command of the README, at this server and in its folders."""
        line = command.replace(":8080/", f":{self.server.port}/").replace(ID_HERE, product)
        if line.startswith("build/perigee "):
            line = line.replace("build/perigee", f"'{BINARY}'", 1)
        done = subprocess.run(["sh", "-c", line], cwd=self.server.folder, env=self.server.environment(), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=COMMAND_S, check=False)
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}{done.stderr}")
        return done.stdout

    def edit(self, prose, block):
        """Creates the file that the sentence names, or puts the block before or after the line that it names."""
        names = re.findall(r"`([^`]+)`", prose)
        path = os.path.join(self.server.folder, names[0])
        if prose.startswith("Create "):
            self.assertFalse(os.path.exists(path), path)
            text = block + "\n"
        else:
            with open(path, encoding="utf-8") as source:
                text = source.read()
            place = re.search(rf"just (before|after) `{re.escape(names[1])}`", prose)
            self.assertTrue(place, prose)
            self.assertEqual(text.count("\n  " + names[1] + "\n"), 1, f"{names[1]} is not one line of {names[0]}")
            before, after = text.split("  " + names[1] + "\n")
            inside = block + "\n  " + names[1] if place.group(1) == "before" else names[1] + "\n" + block
            text = before + "  " + inside + "\n" + after
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def follow(self, heading):
        """Follows a section to its end; returns the output of each command."""
        outputs, product = [], ""
        for prose, block in sections(self.text)[heading]:
            if not block.startswith(("curl ", "build/perigee ")):
                self.edit(prose, block)
                continue
            # The reader needs longer than the server to come from the editor to the terminal; this test does not.
            done = self.server.run("reload", "--wait")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for command in commands(block):
                outputs.append(self.execute(command, product))
                if command.startswith("curl ") and "/api/products" in command:
                    product = json.loads(outputs[-1])["items"][0]["id"]
        return outputs

    def test_the_first_rule_edit(self):
        _, _, with_code, explained, checked = self.follow("A first rule edit")
        before, after = json.loads(with_code), json.loads(explained)
        self.assertEqual(before["codes"], ["OPENING"])
        self.assertNotIn("grand opening", [discount["reason"] for discount in before["discounts"]])
        self.assertIn("grand opening", [discount["reason"] for discount in after["discounts"]])
        self.assertIn("grand opening", [entry["reason"] for entry in after["explain"]])
        self.assertLess(after["total"], before["total"])
        self.assertNotEqual(after["ruleEdition"], before["ruleEdition"])
        self.assertIn("tenants/acme: ok", checked)

    def test_the_first_handler(self):
        (answer,) = self.follow("A first handler")
        self.assertEqual(json.loads(answer), {"hello": "Acme Outfitters", "path": "/api/hello"})

    def test_its_links_lead_somewhere(self):
        targets = re.findall(r"\]\(([^)#]+)\)", self.text)
        self.assertGreater(len(targets), 5)
        for target in targets:
            self.assertTrue(os.path.exists(os.path.join(ROOT, target)), target)

    def test_dev_has_its_commands(self):
        with open(os.path.join(ROOT, "dev"), encoding="utf-8") as source:
            dev = source.read()
        for command in re.findall(r"^    \./dev (\w+)", self.text, re.M):
            self.assertIn(f"\n{command})", dev)


if __name__ == "__main__":
    main()
