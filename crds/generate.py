"""Write the generated files: the CRDs (here and in the chart) and the reference pages. `make generate` runs it.

With ``--check`` nothing is written; the exit code says whether the committed files are up to date.
"""

import sys
from pathlib import Path

import yaml

from dataapp_operator.api.crds import crds
from dataapp_operator.build.rules import rules

sys.path.insert(0, str(Path(__file__).resolve().parent))
from detection import detection
from reference import reference

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Generated from the models in operator/dataapp_operator/api by `make generate`. Do not edit.\n"


def generated() -> dict[Path, str]:
    """Every generated file with its text."""
    files: dict[Path, str] = {}
    for name, definition in crds().items():
        text = HEADER + yaml.safe_dump(definition, sort_keys=False, width=110, allow_unicode=True)
        files[ROOT / "crds" / name] = text
        files[ROOT / "charts" / "dataapp-operator" / "crds" / name] = text
    files[ROOT / "docs" / "reference" / "api.md"] = reference(list(crds().values()))
    files[ROOT / "docs" / "reference" / "detection.md"] = detection(rules())
    return files


def main() -> int:
    """Write, or with --check compare. Returns the exit code."""
    check = "--check" in sys.argv[1:]
    stale = []
    for path, text in generated().items():
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path.relative_to(ROOT))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for path in stale:
        print(f"{path}: {'out of date, run `make generate`' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
