"""Model cards, from what a model's manifest says of it.

Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from pm_contracts.manifest import FaultManifest, ForecastManifest


def card(manifest: ForecastManifest | FaultManifest, use: str, limits: str, measured: str) -> dict[str, str]:
    """The card of a model that ships.

    Args:
        manifest: of the model.
        use: what it is for and what it is not for.
        limits: what it cannot do.
        measured: what data it was measured with.
    """
    libraries = ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())
    return {
        "Intended use": use,
        "Limits": limits,
        "Version": f"{manifest.version}, {manifest.model_bytes:,} bytes, SHA-256 {manifest.model_sha256}",
        "Trained on": (
            f"{manifest.trained_rows:,} readings, {manifest.trained_from:%Y-%m-%d %H:%M} to "
            f"{manifest.trained_until:%Y-%m-%d %H:%M} UTC"
        ),
        "Measured with": measured,
        "Takes": f"{len(manifest.features)} features",
        "Made with": f"seed {manifest.seed}; {libraries}",
    }
