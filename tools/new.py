"""A new edge component or policy from templates: `python -m tools.new component|policy NAME`.

What it writes works and is tested; change it to what you need. `make new-component` and `make new-policy` call it.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parent.parent
_TEMPLATES = ROOT / "tools" / "templates"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

#: Template by the file that it becomes.
_COMPONENT = {
    "pm_edge/components/{name}/__init__.py": "edge_component_init",
    "pm_edge/components/{name}/__main__.py": "edge_component_main",
    "pm_edge/components/{name}/core.py": "edge_component_core",
    "pm_edge/components/{name}/recipe.yaml": "edge_component_recipe",
    "pm_edge/components/{name}/README.md": "edge_component_readme",
    "tests/edge/components/test_{name}.py": "edge_component_test",
}
_POLICY = {
    "pm_policies/rules/{name}.py": "policy_rule",
    "tests/policies/test_{name}.py": "policy_test",
    "tests/policies/bad_programs/{name}.py": "policy_bad_program",
}


class NotMadeError(Exception):
    """Nothing was written; the text says why."""


def write(root: Path, name: str, templates: dict[str, str], words: dict[str, str]) -> list[Path]:
    """Write a file for each template; gives them.

    Raises:
        NotMadeError: if the name is not one of a module, or one of the files is there already.
    """
    if not _NAME.fullmatch(name):
        raise NotMadeError(f"NAME is {name!r}: allowed are lower-case words joined by _, as in line_counter")
    files = {root / path.format(name=name): template for path, template in templates.items()}
    if present := [path for path in files if path.exists()]:
        raise NotMadeError(f"{present[0].relative_to(root)} is there already")
    for path, template in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (_TEMPLATES / f"{template}.template").read_text()
        path.write_text(Template(text).substitute(words))
    return list(files)


def component(root: Path, name: str) -> list[Path]:
    """Write an edge component with its test."""
    words = {"folder": name, "Class": name.title().replace("_", ""), "Title": name.replace("_", " ").capitalize()}
    return write(root, name, _COMPONENT, words)


def policy(root: Path, name: str) -> list[Path]:
    """Write a rule with its test and a program that breaks it, and list it on the page of the rules."""
    words = {"module": name, "name": name.replace("_", "-"), "Title": name.replace("_", " ").capitalize()}
    files = write(root, name, _POLICY, words)
    # By a process of its own, which finds the rule that is new.
    page = subprocess.run(
        [sys.executable, "-m", "pm_policies.catalogue"], cwd=root, stdout=subprocess.PIPE, text=True, check=True
    )
    (root / "pm_policies" / "README.md").write_text(page.stdout)
    return files


_NEXT = {
    "component": "It runs on a site once it is in FOLDERS of pm_components/greengrass_site/edge_components.py, and in "
    "CODE of tests/edge/test_edge_recipes.py; `make architecture` draws it.",
    "policy": "Change its demand, reason, check and test to yours; `python -m pm_policies.catalogue` writes the page.",
}


def main(arguments: list[str] | None = None) -> None:
    """Write what the arguments ask for, and say what comes next."""
    parser = argparse.ArgumentParser(prog="python -m tools.new", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=sorted(_NEXT))
    parser.add_argument("name", help="the module's name, as line_counter")
    parsed = parser.parse_args(arguments)
    try:
        files = {"component": component, "policy": policy}[parsed.kind](ROOT, parsed.name)
    except NotMadeError as error:
        sys.exit(f"error: {error}")
    for path in files:
        print(path.relative_to(ROOT))
    print(_NEXT[parsed.kind])


if __name__ == "__main__":
    main()
