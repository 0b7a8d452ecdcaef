"""A folder for each stack, as the Pulumi command needs it: the project, the stack's configuration, the one program.

A folder of its own, since the command keeps the selected stack by folder and the stacks are worked on at the same time.
"""

from pathlib import Path

import yaml

from examples.many_factories.targets import Target

ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = '''"""The program of every factory, run from this stack's folder."""

import runpy

runpy.run_path({program!r}, run_name="__main__")
'''


def prepare(target: Target, directory: Path) -> Path:
    """Write the folder of a target's stack below `directory`; returns the folder."""
    folder = directory / target.stack
    folder.mkdir(parents=True, exist_ok=True)
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    project["runtime"]["options"]["virtualenv"] = str(ROOT / ".venv")
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project, sort_keys=False))
    (folder / "__main__.py").write_text(_PROGRAM.format(program=str(ROOT / "__main__.py")))
    stack_file = folder / f"Pulumi.{target.stack}.yaml"
    # What Pulumi itself keeps there (the salt of a passphrase, the secrets provider) stays.
    kept = yaml.safe_load(stack_file.read_text()) if stack_file.exists() else {}
    stack_file.write_text(yaml.safe_dump({**kept, "config": target.config}, sort_keys=False))
    return folder
