"""The replayer's own promises: an expectation that does not hold is noticed, and a mistyped one is no pass."""
import os
import sqlite3
import tempfile
import unittest

from replay import Mismatch, check_json, check_report, check_sql, parse, walk


def parse_text(text):
    with tempfile.NamedTemporaryFile("w", suffix=".tape") as file:
        file.write(text)
        file.flush()
        return parse(file.name)


class Parsing(unittest.TestCase):
    def test_rows_and_further_lines_belong_to_their_query(self):
        found = parse_text("# for people\n#\n@1\n#sql SELECT 1\n#+ UNION SELECT 2\n#= 1\n#=\n#report a b\n")
        self.assertEqual(found, [(4, "sql", ("SELECT 1\nUNION SELECT 2", ["1", ""])), (8, "report", "a b")])

    def test_a_mistyped_expectation_is_refused(self):
        for text in ("#sq SELECT 1", "#= 1", "#+ x", "#report a\n#= 1", "#Report a", "#!json .a == 1", "#reporta b"):
            with self.assertRaises(Mismatch, msg=text):
                parse_text(text)


class Sql(unittest.TestCase):
    trace = sqlite3.connect(":memory:")

    def test_rows_are_compared_in_order_and_number(self):
        check_sql(self.trace, ("SELECT 1, 'a', NULL UNION SELECT 2, 'b', 0.5", ["1|a|null", "2|b|0.5"]))
        check_sql(self.trace, ("SELECT 1 WHERE 0", []))
        for rows in ([], ["1"], ["1", "2", "3"], ["2", "1"]):
            with self.assertRaises(Mismatch):
                check_sql(self.trace, ("SELECT 1 UNION SELECT 2", rows))
        with self.assertRaises(Mismatch):
            check_sql(self.trace, ("SELECT nonsense", []))


class Json(unittest.TestCase):
    report = {"cells": [{"ms": 1.5, "by": {"blocked:sleep": 300}}, {}], "verdict": "all is well", "none": None}

    def test_paths_lead_to_their_value(self):
        self.assertEqual(walk(self.report, '.cells[0].by["blocked:sleep"]'), 300)
        self.assertEqual(walk(self.report, ".cells[-1]"), {})
        self.assertEqual(walk(self.report, "."), self.report)
        for path in (".nothing", ".cells[2]", ".cells.ms", ".verdict.x", "cells", ".none.x"):
            with self.assertRaises(Mismatch, msg=path):
                walk(self.report, path)

    def test_comparisons(self):
        for text in (".cells[0].ms == 1.5", ".cells | length == 2", ".cells[0].ms > 1", '.verdict != "bad"', ".none == null",
                     '.cells[0].by["blocked:sleep"] ~ 301', '.verdict in ["all is well"]', ".cells[1] == {}"):
            check_json(self.report, text)
        for text in (".cells[0].ms == 1", ".cells | length == 1", ".cells[0].ms < 1", ".cells[0].ms == true", ".none > 1",
                     '.cells[0].by["blocked:sleep"] ~ 310', ".cells", ".verdict == well", '.verdict == "x" or so'):
            with self.assertRaises(Mismatch, msg=text):
                check_json(self.report, text)


class Report(unittest.TestCase):
    def test_a_fragment_is_in_one_line(self):
        check_report("a  b c\nd", "a b", True)
        check_report("a  b c\nd", "c d", False)
        for fragment, wanted in (("c d", True), ("b c", False)):
            with self.assertRaises(Mismatch):
                check_report("a  b c\nd", fragment, wanted)


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    unittest.main()
