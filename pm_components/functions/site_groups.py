"""The thing groups of the sites that a function serves, from a file that is packaged with it.

A file, since what a Lambda function may have in its environment (4 KB) ends at some forty sites.
"""

import json
from pathlib import Path

FILE_NAME = "site_groups.json"


def read(folder: Path, arn_head: str) -> dict[str, dict[str, str]]:
    """The ARN of each thing group, by its purpose, by site.

    Args:
        folder: the function's folder, which has the names in a file.
        arn_head: what the ARNs of thing groups begin with, up to the name.
    """
    names = json.loads((folder / FILE_NAME).read_text())
    return {site: {purpose: arn_head + name for purpose, name in groups.items()} for site, groups in names.items()}
