"""Attack 25: a mapping file that means to be more than a table of names."""

import pytest

LAUGHS = "\n".join(
    ["a0: &a0 [lol, lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))]
)
FILES = {
    "a billion laughs": LAUGHS,
    "an alias": "repos:\n  one: &one {project: HPC}\n  two: *one\n",
    "a merge key": "repos:\n  one: {<<: {project: HPC}}\n",
    "a Python object": "repos: !!python/object/apply:os.system ['true']\n",
    "a tag": "repos: !!set {one, two}\n",
    "10 MB": "repos:\n" + "".join(f"  repo-{n}: {{project: HPC}}\n" for n in range(350_000)),
    "100,000 levels": "repos: " + "[" * 100_000,
    "a name twice": "repos:\n  one: {project: HPC}\n  one: {project: HPC}\n",
    "a NUL": "repos:\n  one\0: {project: HPC}\n",
}


@pytest.mark.attack(25)
def test_a_mapping_file_is_a_table_of_names_and_nothing_else(product, tmp_path, seen):
    before = product.query("select count(*) as n from vis_control.mapping_file")
    for name, text in FILES.items():
        file = tmp_path / "map.yaml"
        file.write_text(text)
        done = product.try_run("map", "apply", str(file), "--yes")
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), f"{name}: {done.stderr[-300:]}"
    assert product.query("select count(*) as n from vis_control.mapping_file") == before
    seen(f"{len(FILES)} files, among them {', '.join(list(FILES)[:3])}: all refused, nothing applied")
