#!/usr/bin/env bash
# Builds the Pulumi CLI of a pinned release from the Go module proxy and prints where it is. It is kept outside the
# checkout; without it the build takes minutes, and seconds where Go's own cache is warm. Needs Go and no language host.
set -euo pipefail
VERSION=v3.274.1
folder="${XDG_CACHE_HOME:-$HOME/.cache}/predictive-maintenance/pulumi-$VERSION"
if [ ! -x "$folder/pulumi" ]; then
  command -v go >/dev/null || { echo "building the Pulumi CLI needs Go (https://go.dev/dl), and there is none" >&2; exit 1; }
  mkdir -p "$folder"
  module=$(mktemp -d)
  trap 'rm -rf "$module"' EXIT
  cd "$module"
  go mod init pulumi-cli 2>/dev/null
  go get "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi@$VERSION" >&2
  go build -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$VERSION" \
    -o "$folder/building" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi >&2
  mv "$folder/building" "$folder/pulumi"
fi
echo "$folder/pulumi"
