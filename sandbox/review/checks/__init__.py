"""What a provider or AWS would refuse of a program's resources, found without either: one module a check."""
