"""Tools of the maintainers: the architecture picture, and new components and policies from templates."""
