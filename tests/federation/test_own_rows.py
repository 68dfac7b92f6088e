"""In its own domain a party hears of its own rows, and nobody else of them or of their forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.case import COLUMNS, ROWS, Case, study
from tests.federation.domains import Domains
from tests.heard import Heard
from xstat_ray.federation.aggregate import aggregate
from xstat_ray.federation.config import AggregatorConfig, PartyConfig
from xstat_ray.federation.identity import DOMAINS, Domain
from xstat_ray.federation.jobs import deidentify, release

SECRET = {"row": "Secret-4711", "column": "hidden_1234567"}
FORM = {"row": "Aaaaaa-9999", "column": "aaaaaa_9999999"}


class Overheard(Domains):
    """Domains whose terminals are listened to."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.heard = {name: Heard() for name in DOMAINS}
        self.approve()

    def step(self, domain: Domain, step: str, **changes: Any) -> None:
        config = self.config(domain, step, **changes)
        parties = deidentify if isinstance(config, PartyConfig) else release
        job: Any = aggregate if isinstance(config, AggregatorConfig) else parties
        job(config, self.heard[domain])


def test_each_party_hears_of_its_own_rows_and_nobody_else_does(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.write("row", {"id": [*ROWS["id"], "1"], "area": [*ROWS["area"], SECRET["row"]]})
    case.write(
        "column", {"id": [*COLUMNS["id"], "9"], "kind": [*COLUMNS["kind"], SECRET["column"]]}
    )
    domains = Overheard(tmp_path / "domains", study(privacy={"padding": "off"}), case.tables)
    domains.run()
    said = {
        name: "\n".join([*heard.notes, *heard.warnings]) for name, heard in domains.heard.items()
    }
    for role, form in FORM.items():
        assert f"Rows of the {role} party: 5 read = 4 kept + 1 outside_domain" in said[role]
        assert f"'{form}' (1)" in said[role]
        for other in DOMAINS:
            told = form in said[other] or f"of the {role} party" in said[other]
            assert told == (other == role)
        private = domains.private(role)
        places = {
            path
            for path in domains.folder.rglob("*")
            if path.is_file() and form.encode() in path.read_bytes()
        }
        assert places == {private / "test" / "intake.json"}
    assert "Rows of" not in said["aggregator"]
    assert not any(secret in text for secret in SECRET.values() for text in said.values())
