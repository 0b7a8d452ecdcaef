"""A machine for the host's script: a folder in place of the file system, and commands that do what theirs would.

What the script asks of AWS, packages and the nucleus is answered by small programs; files, modes and shell are real.
"""

import hashlib
import os
import re
import shutil
import subprocess
import textwrap
import warnings
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

#: Paths below `/` in the script, kept below the machine's folder instead.
_PATHS = re.compile(r"(?<![\w./-])/(root|etc|var/lib|opt|greengrass|dev/disk)\b")

#: `/usr/bin/install` cannot give files away here; who was to get them is noted.
_COMMANDS: dict[str, str] = {
    "install": """
        arguments=()
        while [ $# -gt 0 ]; do
          case "$1" in
            -o|-g) echo "$2 ${@: -1}" >> "$MACHINE/owners"; shift 2 ;;
            *) arguments+=("$1"); shift ;;
          esac
        done
        exec /usr/bin/install "${arguments[@]}"
    """,
    "chown": 'echo "$@" >> "$MACHINE/owners"',
    "id": "exit 0",
    "useradd": "exit 0",
    "dnf": "exit 0",
    "dpkg": "exit 0",
    "sleep": 'echo "$1" >> "$MACHINE/slept"',
    "curl": """
        while [ "$1" != -o ]; do shift; done
        echo "$3" >> "$MACHINE/fetched"
        case "$3" in *AmazonRootCA1.pem) cp "$MACHINE/authority.pem" "$2" ;; *) echo fetched > "$2" ;; esac
    """,
    "unzip": "exit 0",
    "blkid": "exit 0",
    "mkfs.ext4": 'echo "${@: -1}" >> "$MACHINE/made"',
    "mount": 'echo "$1" >> "$MACHINE/mounted"',
    "systemctl": 'echo "$@" >> "$MACHINE/systemctl"',
    "python3.11": """
        if [ "$1" = -m ]; then
          mkdir -p "$3/bin" "$3/lib/python3.11/site-packages"
          printf '#!/bin/sh\\n' > "$3/bin/pip"
          chmod 755 "$3/bin/pip"
        else
          exec python3 "$@"
        fi
    """,
    "aws": """
        case "$1 $2" in
          "s3 cp") echo > "${@: -1}" ;;
          "iot create-provisioning-claim") echo '{"certificatePem": "c", "keyPair": {"PrivateKey": "k"}}' ;;
          "iot describe-endpoint") echo endpoint.example ;;
          "iot list-thing-principals") echo 0 ;;
          "ec2 attach-volume")
            mkdir -p "$MACHINE/dev/disk/by-id"
            touch "$MACHINE/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_$(echo "$4" | tr -d -)"
            ;;
          *) echo "aws $1 $2: nobody answers" >&2; exit 1 ;;
        esac
    """,
    # As the postinst of its package: no mode of ours on what it makes (dpkg has a umask of its own).
    "apt-get": """
        umask 022
        case "${@: -1}" in
          *greengrass-lite*)
            mkdir -p "$MACHINE/etc/greengrass/config.d" "$MACHINE/var/lib/greengrass"
            cat > "$MACHINE/etc/greengrass/config.d/greengrass-lite.yaml" <<'END'
        system: {rootPath: /var/lib/greengrass}
        services:
          aws.greengrass.NucleusLite:
            configuration: {runWithDefault: {posixUser: "ggcore:ggcore"}, greengrassDataPlanePort: "8443"}
        END
            ;;
        esac
    """,
    "fleet-provisioning": """
        for file in certificate.pem priv_key; do
          echo x > "$MACHINE/var/lib/greengrass/credentials/$file"
        done
    """,
    # The nucleus makes its folders with the umask that it is started with, and enrols.
    "java": 'mkdir -p "$MACHINE/greengrass/v2"; echo x > "$MACHINE/greengrass/v2/thingCert.crt"',
}


#: SHA-256 of all that `curl` fetches here.
FETCHED_SHA256 = hashlib.sha256(b"fetched\n").hexdigest()


def amazon_root(directory: Path) -> Path:
    """A file with the authority of AWS IoT's endpoints, as the world's trust stores have it."""
    certificates = re.findall(
        r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n",
        (files("botocore") / "cacert.pem").read_text(),
        re.DOTALL,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some old authority's serial number
        subjects = [x509.load_pem_x509_certificate(text.encode()).subject.rfc4514_string() for text in certificates]
    file = directory / "amazon-root.pem"
    file.write_text(certificates[subjects.index("CN=Amazon Root CA 1,O=Amazon,C=US")])
    return file


class Machine:
    """A machine in `directory` that runs a script once."""

    def __init__(
        self, directory: Path, commands: Mapping[str, str] | None = None, authority: Path | None = None
    ) -> None:
        """A machine whose commands are those above, `commands` in their place, that is given Amazon's authority."""
        self.root = directory / "machine"
        self._programs = directory / "programs"
        for folder in (self.root / "etc", self.root / "root", self.root / "var" / "lib", self._programs):
            folder.mkdir(parents=True)
        (self.root / "var" / "lib" / "cloud" / "data").mkdir(parents=True)
        (self.root / "var" / "lib" / "cloud" / "data" / "instance-id").write_text("i-0123456789abcdef0\n")
        shutil.copy(authority or amazon_root(directory), self.root / "authority.pem")
        for name, body in {**_COMMANDS, **(commands or {})}.items():
            program = self._programs / name
            program.write_text("#!/bin/bash\n" + textwrap.dedent(body))
            program.chmod(0o755)

    def run(self, script: str) -> "subprocess.CompletedProcess[str]":
        """Run a script as cloud-init does."""
        script = _PATHS.sub(lambda found: f"{self.root}{found[0]}", script)
        script = script.replace("/usr/bin/fleet-provisioning", str(self._programs / "fleet-provisioning"))
        environment = {**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}", "MACHINE": str(self.root)}
        return subprocess.run(
            ["bash"], input=script, text=True, capture_output=True, env=environment, timeout=120, check=False
        )

    def mode(self, path: str) -> int:
        """The permissions of a file or folder."""
        return (self.root / path.lstrip("/")).stat().st_mode & 0o777

    def noted(self, what: str) -> list[str]:
        """The lines that the commands have noted in a file."""
        file = self.root / what
        return file.read_text().splitlines() if file.exists() else []

    def lite_configuration(self) -> dict[str, Any]:
        """The first configuration of nucleus lite: `config.yaml`, and merged over it each file of `config.d`."""
        folder = self.root / "etc" / "greengrass"
        merged: dict[str, Any] = {}
        for file in (folder / "config.yaml", *(folder / "config.d").iterdir()):
            if file.exists():
                _merge(merged, yaml.safe_load(file.read_text()))
        return merged


def _merge(base: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value
