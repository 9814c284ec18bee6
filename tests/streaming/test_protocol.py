"""streaming/protocol.py, its AsyncAPI file and PROTOCOL.md: one truth, and the other two agree with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unreel.engine.errors import UserError
from unreel.streaming import asyncapi
from unreel.streaming import protocol as p

CONTRACT = Path(asyncapi.__file__).with_name("PROTOCOL.md").read_text(encoding="utf-8")
CLIENT, SERVER = asyncapi.messages(p.ClientMessage), asyncapi.messages(p.ServerMessage)


def test_the_asyncapi_file_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncapi.main(["--check"]) == 0, capsys.readouterr().out


def test_check_notices_a_change(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(asyncapi, "text", lambda: "another")
    assert asyncapi.main(["--check"]) == 1
    assert "--write" in capsys.readouterr().out


def test_the_document_refers_to_what_it_holds() -> None:
    document = asyncapi.document()

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [ref for item in value.values() for ref in references(item)]
        return [ref for item in value for ref in references(item)] if isinstance(value, list) else []

    for reference in references(document):
        at: Any = document
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]


@pytest.mark.parametrize("model", [*CLIENT, *SERVER], ids=lambda model: model.__name__)
def test_the_contract_names_every_message_and_field(model: Any) -> None:
    assert f"`{model.model_fields['type'].default}`" in CONTRACT
    missing = [name for name in model.model_fields if f"`{name}`" not in CONTRACT and name != "type"]
    assert not missing, f"PROTOCOL.md does not mention {missing} of {model.__name__}"


def test_the_contract_names_codes_kinds_and_reasons() -> None:
    from typing import get_args

    words = [*get_args(p.ErrorCode), *get_args(p.Kind), *get_args(p.Closing.model_fields["reason"].annotation)]
    assert [word for word in words if f"`{word}`" not in CONTRACT] == []


def test_unknown_fields_and_wrong_values_are_errors_in_one_line() -> None:
    for bad in (
        '{"type":"configure","sead":1}',
        '{"type":"control","kind":"jump"}',
        '{"type":"ack","seq":-1}',
        '{"type":"ack","seq":1e300}',
        '{"type":"configure","formats":[]}',
        '{"type":"watch","token":"../../etc/passwd"}',
        "[" * 100_000,
        '{"type":"control","kind":"action","value":"' + "w" * 5000 + '"}',
    ):
        with pytest.raises(UserError) as error:
            p.parse_client(bad)
        assert len(str(error.value)) <= 300
        assert "\n" not in str(error.value)


def test_messages_survive_the_wire() -> None:
    sent = p.Control(id="k1", kind="camera", value=[0.5, 1.0])
    assert p.parse_client(sent.model_dump_json()) == sent
    said = p.Error(code="full", message="later", retryable=True, retry_after_s=3.0)
    assert p.parse_server(said.model_dump_json()) == said
