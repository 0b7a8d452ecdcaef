"""The Greengrass components, one folder each."""
