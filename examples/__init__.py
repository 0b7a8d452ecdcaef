"""Examples of the library's use; each folder has a README."""
