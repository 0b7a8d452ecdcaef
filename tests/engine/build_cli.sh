#!/usr/bin/env bash
# Builds the Pulumi CLI of a pinned release from the Go module proxy, and beside it the language hosts of YAML and (pyhost)
# Python, and prints where the CLI is. They are kept outside the checkout, by what they are built from; the build takes
# minutes, and seconds where Go's own cache is warm. Needs Go.
set -euo pipefail
VERSION=v3.274.1
# Released against another version of Pulumi's packages, so that it is built apart.
YAML_VERSION=v1.25.0
here=$(cd "$(dirname "$0")" && pwd)
sources=$(cat "$here/build_cli.sh" "$here/pyhost/main.go" | sha256sum | cut -c 1-12)
folder="${XDG_CACHE_HOME:-$HOME/.cache}/predictive-maintenance/pulumi-$VERSION-$sources"
if [ ! -d "$folder" ]; then
  command -v go >/dev/null || { echo "building the Pulumi CLI needs Go (https://go.dev/dl), and there is none" >&2; exit 1; }
  module=$(mktemp -d)
  trap 'rm -rf "$module"' EXIT
  mkdir "$module/built" "$module/cli" "$module/yaml"
  cd "$module/cli"
  go mod init pulumi-cli 2>/dev/null
  cp -r "$here/pyhost" .
  go get "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi@$VERSION" >&2
  go build -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$VERSION" \
    -o ../built/pulumi github.com/pulumi/pulumi/pkg/v3/cmd/pulumi >&2
  go build -ldflags "-s -w" -o ../built/pulumi-language-python ./pyhost >&2
  cp "$(go list -m -f '{{.Dir}}' github.com/pulumi/pulumi/sdk/v3)/python/cmd/pulumi-language-python-exec" ../built/
  cd "$module/yaml"
  go mod init pulumi-yaml 2>/dev/null
  go get "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml@$YAML_VERSION" >&2
  go build -ldflags "-s -w" -o ../built/ github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml >&2
  # Whole or not at all, whoever else builds it just now.
  mkdir -p "$(dirname "$folder")"
  staged=$(mktemp -d "$folder.XXXX")
  mv ../built/* "$staged"
  chmod 755 "$staged"
  mv -T "$staged" "$folder" 2>/dev/null || rm -rf "$staged"
fi
echo "$folder/pulumi"
