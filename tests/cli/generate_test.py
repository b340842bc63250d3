# SPDX-License-Identifier: Apache-2.0
"""omnibal generate: the same bytes everywhere, and tables of the shape asked for."""
import collections
import hashlib
import json
import os

from command import DATA, CommandTest, main, samples

SHAPE = os.path.join(DATA, "shape.json")

# Random columns, and names that JSON and CSV must quote.
PINNED_SHAPE = {"columns": [{"name": "a", "buckets": [[1, 1, 1], [3, 5, 2]]},
                            {"name": "b,\"", "plus": {"a": 10}, "buckets": [[0, 9, 1], [100, 4000000000, 1]]}]}
PINNED_ROWS = [(5, 50), (5, 59), (1, 3394722166)]


class Generate(CommandTest):
    def generate(self, name, *arguments):
        report = self.succeed("generate", "--out", name, *arguments)
        content = self.read(name)
        self.assertEqual(report["sha256"], hashlib.sha256(content).hexdigest())
        return content

    def test_the_table_that_ships_is_made_from_the_shape_that_ships(self):
        with open(os.path.join(DATA, "lengths.json"), "rb") as shipped:
            self.assertEqual(self.generate("a.json", "--shape", SHAPE, "--samples", 4000), shipped.read())

    def test_bytes_are_pinned(self):
        arguments = ["--shape", self.write("shape.json", PINNED_SHAPE), "--samples", 3, "--seed", 7]
        objects = [f'{{"a":{a},"b,\\"":{b}}}' for a, b in PINNED_ROWS]
        self.assertEqual(self.generate("a.json", *arguments), ("[\n" + ",\n".join(objects) + "\n]\n").encode())
        self.assertEqual(self.generate("a.jsonl", *arguments), "".join(f"{row}\n" for row in objects).encode())
        lines = ['a,"b,"""', *(f"{a},{b}" for a, b in PINNED_ROWS)]
        self.assertEqual(self.generate("a.csv", *arguments), "".join(f"{line}\n" for line in lines).encode())
        header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (3, 2), }".ljust(117) + b"\n"
        values = b"".join(value.to_bytes(8, "little") for row in PINNED_ROWS for value in row)
        self.assertEqual(self.generate("a.npy", *arguments), b"\x93NUMPY\x01\x00v\x00" + header + values)

    def test_seeds(self):
        first = self.generate("a.csv", "--shape", SHAPE, "--samples", 50)
        self.assertEqual(self.generate("b.csv", "--shape", SHAPE, "--samples", 50, "--seed", 0), first)
        self.assertNotEqual(self.generate("c.csv", "--shape", SHAPE, "--samples", 50, "--seed", 1), first)
        longer = self.generate("d.csv", "--shape", SHAPE, "--samples", 60)
        self.assertTrue(longer.startswith(first))

    def test_the_shape_is_kept(self):
        rows = json.loads(self.generate("a.json", "--shape", SHAPE, "--samples", 20000))
        tiles = collections.Counter(row["vit_num"] for row in rows)
        for value, share in {1: 0.09, 3: 0.34, 4: 0.01, 5: 0.56}.items():
            self.assertAlmostEqual(tiles[value] / len(rows), share, delta=0.015)
        text = sorted(row["token_num"] - 256 * row["vit_num"] for row in rows)
        self.assertTrue(40 <= text[0] and text[-1] <= 1200)
        self.assertTrue(200 < text[int(0.95 * len(text))] < 400)

    def test_like_draws_rows_of_the_table(self):
        real = [(1, 358), (5, 1341), (3, 811)]
        table = self.write("real.json", samples(*real))
        rows = json.loads(self.generate("a.json", "--like", table, "--samples", 3000))
        drawn = collections.Counter((row["vit_num"], row["token_num"]) for row in rows)
        self.assertEqual(set(drawn), set(real))
        for count in drawn.values():
            self.assertAlmostEqual(count, 1000, delta=120)

    def test_text_only_changes_nothing_but_the_images_of_some(self):
        for source in (["--shape", SHAPE], ["--like", self.write("real.json", samples((1, 358), (5, 1341)))]):
            plain = json.loads(self.generate("a.json", *source, "--samples", 4000))
            mixed = json.loads(self.generate("b.json", *source, "--samples", 4000, "--text-only", "0.25"))
            for before, after in zip(plain, mixed):
                self.assertEqual(after["token_num"], before["token_num"])
                self.assertIn(after["vit_num"], (0, before["vit_num"]))
            self.assertAlmostEqual(sum(row["vit_num"] == 0 for row in mixed), 1000, delta=120)
            for share, images in (("0", 0), ("1", 4000)):
                rows = json.loads(self.generate("c.json", *source, "--samples", 4000, "--text-only", share))
                self.assertEqual(sum(row["vit_num"] == 0 for row in rows), images)

    def test_like_takes_other_resources_and_formats(self):
        table = self.write("real.csv", "frames,words\n3,70\n")
        out = self.generate("a.csv", "--like", table, "--resource", "audio=frames", "--resource", "text=words",
                            "--samples", 2)
        self.assertEqual(out, b"frames,words\n3,70\n3,70\n")

    def test_report(self):
        report = self.succeed("generate", "--like", self.write("real.json", samples((2, 10), (2, 10))),
                              "--samples", 5, "--out", "a.json")
        self.assertEqual(report["samples"], 5)
        self.assertEqual(report["columns"]["token_num"], {"least": 10, "mean": 10.0, "most": 10})


class BrokenGenerate(CommandTest):
    def test_options(self):
        shape = ["--shape", SHAPE]
        self.expect_failure("generate", "--samples", 3, "--out", "a.json", naming=["--shape", "--like"])
        self.expect_failure("generate", *shape, "--like", "b.json", "--samples", 3, "--out", "a.json", naming="--like")
        self.expect_failure("generate", *shape, "--samples", 3, naming="--out")
        self.expect_failure("generate", *shape, "--samples", 3, "--out", "a.txt", naming=["a.txt", ".json"])
        for samples_ in ("0", "-1", "1.5", "x", "4294967295"):
            self.expect_failure("generate", *shape, "--samples", samples_, "--out", "a.json", naming=["--samples", samples_])
        for seed in ("-1", "9223372036854775808", "1e3"):
            self.expect_failure("generate", *shape, "--samples", 3, "--seed", seed, "--out", "a.json", naming=["--seed", seed])
        for share in ("-0.5", "1.5", "x", "0.12345678901"):
            self.expect_failure("generate", *shape, "--samples", 3, "--text-only", share, "--out", "a.json",
                      naming=["--text-only", share])
        self.expect_failure("generate", *shape, "--samples", 3, "--out", "none/a.json", naming="none/a.json", status=4)
        self.expect_failure("generate", "--like", "none.json", "--samples", 3, "--out", "a.json", naming="--like = none.json")

    def test_shapes(self):
        def refuse(shape, *naming):
            name = self.write("shape.json", shape)
            self.expect_failure("generate", "--shape", name, "--samples", 3, "--out", "a.json", naming=["shape.json", *naming])

        def column(**changes):
            return {"columns": [{"name": "a", "buckets": [[1, 2, 3]], **changes}]}

        refuse("{", "is not JSON", "line 1")
        refuse('{"columns": [], "columns": []}', "columns", "twice")
        refuse([], "columns")
        refuse({}, "columns")
        refuse({"columns": []}, "columns")
        refuse({"columns": [3]}, "columns[0]")
        refuse(column(name=3), "columns[0].name")
        refuse(column(name=""), "columns[0].name")
        refuse({"columns": column()["columns"] * 2}, "columns[1].name", "already taken")
        refuse(column(buckets=[]), "columns[0].buckets")
        refuse(column(buckets=[[1, 2]]), "columns[0].buckets", "[1,2]")
        refuse(column(buckets=[[2, 1, 3]]), "[2,1,3]")
        refuse(column(buckets=[[1, 2, -3]]), "weight", "-3")
        refuse(column(buckets=[[1, 2, 0]]), "weights")
        refuse(column(buckets=[[1.5, 2, 3]]), "least", "1.5")
        refuse(column(buckets=[[-1, 2, 3]]), "least", "-1")
        refuse(column(buckets=[[0, 2**32, 3]]), "2^32")
        refuse(column(buckets=[[1, 2, 2**31], [1, 2, 2**31]]), "weights")
        refuse(column(plus=3), "columns[0].plus")
        refuse(column(plus={"a": 1}), "columns[0].plus", "described before")
        big = column()["columns"] + [{"name": "b", "buckets": [[0, 0, 1]], "plus": {"a": 2**62}}]
        refuse({"columns": big}, "columns[1].plus", "2^62")


if __name__ == "__main__":
    main()
