"""Stage-in: what a module may find."""

import json
import os

import pytest

from plato_sas.stager.description import InputDescription, StepDescription
from plato_sas.stager.messages import Problem, StagedIn
from plato_sas.stager.stage_in import stage_in
from tests.support.pod import LIGHT_CURVE, Pod, digest, made_of, reading, step


def refused(pod: Pod, *steps: StepDescription) -> Problem:
    with pytest.raises(Problem) as error:
        pod.stage_in(*steps)
    return error.value


def test_stage_in_makes_an_empty_folder_and_writes_the_parameters(pod: Pod) -> None:
    stage = pod.begin(step(parameters={"snr": 3.0, "method": "acf"}))
    assert list(pod.out(stage).iterdir()) == []
    assert json.loads((pod.roots.work / "msap1/params.json").read_text()) == {"snr": 3.0, "method": "acf"}


def test_stage_in_reports_what_it_read(pod: Pod) -> None:
    assert pod.stage_in() == StagedIn({"DP1": digest(LIGHT_CURVE)})


def test_a_right_checksum_passes_and_a_wrong_one_names_the_file_and_both_digests(pod: Pod) -> None:
    expected = InputDescription("DP1", "inputs", "q1/KIC1/lc.h5", sha256=digest(LIGHT_CURVE))
    pod.begin(step(inputs=[expected]))
    problem = refused(pod, step(inputs=[expected._replace(sha256="0" * 64)]))
    assert (problem.step, problem.reason) == ("msap1", "ChecksumMismatch")
    assert problem.message == (
        f"step msap1: input DP1: inputs volume: q1/KIC1/lc.h5 has SHA-256 {digest(LIGHT_CURVE)}, expected {'0' * 64}"
    )


def test_a_missing_input_names_the_file(pod: Pod) -> None:
    pod.light_curve.unlink()
    problem = refused(pod)
    assert problem.reason == "InputMissing"
    assert problem.message == "step msap1: input DP1: inputs volume: q1/KIC1/lc.h5 does not exist"


def test_an_input_that_leads_out_of_its_volume_is_refused(pod: Pod) -> None:
    secret = pod.root / "secret"
    secret.mkdir()
    (secret / "lc.h5").write_bytes(LIGHT_CURVE)
    (pod.roots.inputs / "q2").symlink_to(secret)
    problem = refused(pod, step(inputs=[InputDescription("DP1", "inputs", "q2/lc.h5")]))
    assert (problem.reason, "leads out of the volume" in problem.message) == ("InputInvalid", True)
    pod.light_curve.unlink()
    pod.light_curve.symlink_to(secret / "lc.h5")
    assert refused(pod).reason == "InputInvalid"


def test_an_input_is_a_regular_file(pod: Pod) -> None:
    pod.light_curve.unlink()
    pod.light_curve.mkdir()
    assert refused(pod).reason == "InputInvalid"
    pod.light_curve.rmdir()
    os.mkfifo(pod.light_curve)
    assert refused(pod).reason == "InputInvalid"
    problem = refused(pod, step(inputs=[InputDescription("DP1", "inputs", "q1/KIC1/lc.h5/deeper")]))
    assert problem.reason == "InputInvalid"


def test_an_input_behind_links_in_a_circle_is_refused(pod: Pod) -> None:
    (pod.roots.inputs / "round").symlink_to("about")
    (pod.roots.inputs / "about").symlink_to("round")
    problem = refused(pod, step(inputs=[InputDescription("DP1", "inputs", "round/lc.h5")]))
    assert (problem.step, problem.reason) == ("msap1", "InputInvalid")
    assert "round/lc.h5" in problem.message


def test_a_file_that_an_earlier_step_has_read_must_still_be_the_same(pod: Pod) -> None:
    known = InputDescription("DP1", "inputs", "q1/KIC1/lc.h5", known=digest(LIGHT_CURVE))
    pod.begin(step(inputs=[known]))
    pod.light_curve.write_bytes(b"second delivery")
    problem = refused(pod, step(inputs=[known]))
    assert (problem.step, problem.reason) == ("msap1", "ChecksumMismatch")
    assert problem.message == (
        f"step msap1: input DP1: inputs volume: q1/KIC1/lc.h5 has SHA-256 {digest(b'second delivery')}, "
        f"but an earlier step of this run has read {digest(LIGHT_CURVE)}"
    )


def test_what_was_read_is_reported_by_its_name_in_the_pipeline(pod: Pod) -> None:
    (pod.light_curve.parent / "aux.h5").write_bytes(b"auxiliary")
    other = InputDescription("DP1", "inputs", "q1/KIC1/aux.h5", external="AUX")
    assert pod.stage_in(step(), step("msap2", inputs=[other])).inputs == {
        "DP1": digest(LIGHT_CURVE), "AUX": digest(b"auxiliary")
    }  # fmt: skip


CHOSEN = InputDescription("DP1", "inputs", "KIC2/lc.h5", chosen=True)


@pytest.mark.parametrize(
    ("path", "prefixes", "allowed"),
    [
        ("KIC2/lc.h5", ["KIC1", "q1/KIC1"], False),
        ("KIC2/lc.h5", [], False),
        ("KIC10/lc.h5", ["KIC1"], False),
        ("KIC1/of-2/lc.h5", ["KIC1"], False),
        ("KIC1/lc.h5", ["KIC1"], True),
        ("shared/kit/lc.h5", ["KIC1", "shared"], True),
        ("KIC2/lc.h5", ["."], True),
    ],
)
def test_a_star_chooses_files_in_its_own_folder_or_where_the_site_allows_it(
    pod: Pod, path: str, prefixes: list[str], allowed: bool
) -> None:
    for folder in ("KIC1", "KIC10", "KIC2", "shared/kit"):
        (pod.roots.inputs / folder).mkdir(parents=True)
        (pod.roots.inputs / folder / "lc.h5").write_bytes(LIGHT_CURVE)
    (pod.roots.inputs / "KIC1/of-2").symlink_to("../KIC2")
    stage = pod.stage(step(inputs=[CHOSEN._replace(path=path)]), prefixes=prefixes)
    if allowed:
        assert stage_in(stage, pod.roots).inputs == {"DP1": digest(LIGHT_CURVE)}
        return
    with pytest.raises(Problem, match=r"that a star's spec\.inputs may name \(controller\.inputPrefixes: ") as error:
        stage_in(stage, pod.roots)
    assert error.value.reason == "InputInvalid"
    assert error.value.message.startswith(f"step msap1: input DP1: inputs volume: {path} is in no folder")


def test_a_file_that_several_steps_read_is_read_once(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    real, opened = os.open, []

    def counted(path: str | os.PathLike[str], *rest: int, **named: int) -> int:
        opened.append(os.fspath(path))
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "open", counted)
    pod.stage_in(step("a"), step("b"), step("c"))
    assert opened.count(str(pod.light_curve)) == 1


def test_a_published_input_must_be_what_its_producer_published(pod: Pod) -> None:
    pod.run(b"good")
    pod.begin(reading())
    product = pod.star / "msap1/OUT.h5"
    product.chmod(0o644)
    product.write_bytes(b"evil")
    problem = refused(pod, reading())
    assert (problem.step, problem.reason) == ("msap2", "ChecksumMismatch")
    assert digest(b"good") in problem.message


def test_a_published_input_without_a_manifest_is_refused(pod: Pod) -> None:
    pod.run()
    (pod.star / "msap1/manifest.json").unlink()
    problem = refused(pod, reading())
    assert problem.message.endswith("is not in the manifest of q1/KIC1/msap1")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": "plato-sas.io/manifest/v2"}'])
@pytest.mark.parametrize("optional", [False, True])
def test_a_product_with_a_manifest_that_nobody_understands_is_refused(pod: Pod, text: str, optional: bool) -> None:
    pod.run()
    (pod.star / "msap1/manifest.json").write_text(text)
    problem = refused(pod, reading(optional=optional, late=optional))
    assert (problem.reason, problem.step) == ("InputInvalid", "msap2")
    assert problem.message.endswith("is not in the manifest of q1/KIC1/msap1")


def test_an_input_made_in_the_same_stage_is_not_looked_for(pod: Pod) -> None:
    stage = pod.begin(step(), made_of("msap1", "msap2"))
    assert not (pod.out(stage) / "OUT.h5").exists()


def test_stage_in_clears_what_earlier_attempts_at_its_steps_left(pod: Pod) -> None:
    first = pod.begin(attempt="try-1")
    (pod.out(first) / "half.h5").write_bytes(b"half")
    second = pod.begin(attempt="try-2")
    assert not pod.out(first).parent.exists()
    assert list(pod.out(second).iterdir()) == []
    (pod.out(second) / "half.h5").write_bytes(b"half")
    again = pod.begin(attempt="try-2")
    assert list(pod.out(again).iterdir()) == [], "a pod that was replaced begins anew"


def test_stage_in_clears_what_the_kubelet_and_a_wild_module_left(pod: Pod) -> None:
    first = pod.begin()
    out = pod.out(first)
    (out / "OUT.h5").mkdir(mode=0)
    (out / "wild/er").mkdir(parents=True)
    (out / "wild/er/file").write_text("x")
    (out / "wild/er").chmod(0)
    (out / "wild").chmod(0o500)
    (out / "link").symlink_to(pod.light_curve.parent)
    out.chmod(0)
    pod.begin(attempt="try-2")
    assert pod.unfinished() == ["try-2"]
    assert pod.light_curve.read_bytes() == LIGHT_CURVE


def test_stage_in_clears_only_its_own_steps_of_a_stage(pod: Pod) -> None:
    first = pod.begin(step("a"), step("b"))
    pod.write(first)
    pod.begin(step("b"), attempt="try-2")
    assert pod.publish(first, "a").steps.keys() == {"a"}
    assert pod.unfinished() == ["try-2"]


def test_stage_in_clears_a_record_without_steps(pod: Pod) -> None:
    first = pod.begin()
    pod.out(first).rmdir()
    pod.begin(step("msap2"), attempt="try-2")
    assert pod.unfinished() == ["try-2"]


def test_stage_in_leaves_other_steps_attempts_alone_even_while_they_begin(pod: Pod) -> None:
    other = pod.begin(step("msap2", inputs=[]), attempt="other")
    (pod.out(other, "msap2") / "half.h5").write_bytes(b"half")
    beginning = pod.star / ".attempts/just-made"
    beginning.mkdir()
    pod.begin(attempt="try-1")
    assert (pod.out(other, "msap2") / "half.h5").exists()
    assert beginning.exists(), "its step's folder is about to be made"


# Late inputs: stage-in alone can see whether they are there, and brings them


def late(**fields: object) -> InputDescription:
    given = {"optional": True, "late": True, **fields}
    return InputDescription("AUX", "inputs", "q1/KIC1/aux.h5")._replace(**given)  # type: ignore[arg-type]


def previous(optional: bool = True) -> InputDescription:
    return reading("msap4", "q0", optional=optional, late=True).inputs[0]


def test_a_late_input_that_is_there_is_brought_read_only_and_reported(pod: Pod) -> None:
    (pod.light_curve.parent / "aux.h5").write_bytes(b"auxiliary")
    assert pod.stage_in(step(inputs=[late()])).inputs == {"AUX": digest(b"auxiliary")}
    brought = pod.roots.work / "msap1/in/AUX"
    assert brought.read_bytes() == b"auxiliary"
    assert brought.stat().st_mode & 0o777 == 0o444


def test_a_late_input_that_is_absent_is_no_file(pod: Pod) -> None:
    assert pod.stage_in(step(inputs=[late()])) == StagedIn()
    assert list((pod.roots.work / "msap1/in").iterdir()) == []


def test_beside_late_inputs_every_mounted_one_has_a_place(pod: Pod) -> None:
    mounted = made_of("msap1", "msap2").inputs[0]
    pod.begin(step(), step("msap2", inputs=[late(), *step().inputs, mounted]))
    assert sorted(path.name for path in (pod.roots.work / "msap2/in").iterdir()) == ["DP1", "IN"]
    assert sorted(path.name for path in (pod.roots.work / "msap1").iterdir()) == ["in", "out", "params.json"]


def test_an_input_made_in_the_same_stage_is_a_link_into_its_steps_folder(pod: Pod) -> None:
    pod.begin(step(), made_of("msap1", "msap2"))
    tree = pod.roots.work / "msap2"
    assert os.readlink(tree / "in/IN") == "../upstream/msap1/OUT.h5"
    assert [path.name for path in (tree / "upstream").iterdir()] == ["msap1"], "where its folder is mounted"


def test_a_late_input_that_must_be_there_is_named_if_it_is_not(pod: Pod) -> None:
    problem = refused(pod, step(inputs=[previous(optional=False)]))
    assert problem.reason == "InputMissing"
    assert problem.message == "step msap1: input IN: products volume: q0/KIC1/msap4/OUT.h5 does not exist"
    expected = late(sha256=digest(b"auxiliary"))
    assert refused(pod, step(inputs=[expected])).reason == "InputMissing", "somebody has said what is in it"


def test_an_optional_input_that_is_wrong_is_not_taken_for_an_absent_one(pod: Pod) -> None:
    aux = pod.light_curve.parent / "aux.h5"
    aux.symlink_to("/etc/passwd")
    assert refused(pod, step(inputs=[late()])).reason == "InputInvalid"
    aux.unlink()
    aux.write_bytes(b"x")
    assert refused(pod, step(inputs=[late(sha256="0" * 64)])).reason == "ChecksumMismatch"


def test_a_product_of_the_previous_campaign_is_brought_as_it_was_published(pod: Pod) -> None:
    assert pod.stage_in(step(inputs=[previous()])) == StagedIn()
    assert list((pod.roots.work / "msap1/in").iterdir()) == []
    pod.run(b"last quarter", name="msap4", campaign="q0", attempt="old")
    assert pod.stage_in(step(inputs=[previous()])) == StagedIn(), "it is no external product"
    assert (pod.roots.work / "msap1/in/IN").read_bytes() == b"last quarter"


def test_a_product_of_the_previous_campaign_is_found_under_the_name_that_it_had_then(pod: Pod) -> None:
    old = pod.begin(step("msap4", outputs=[step().outputs[0]._replace(path="former.fits")]), campaign="q0")
    (pod.out(old, "msap4") / "former.fits").write_bytes(b"last quarter")
    pod.publish(old)
    pod.begin(step(inputs=[previous()]))
    assert (pod.roots.work / "msap1/in/IN").read_bytes() == b"last quarter"


def test_an_altered_or_lost_product_of_the_previous_campaign_is_refused_even_if_it_is_optional(pod: Pod) -> None:
    pod.run(b"last quarter", name="msap4", campaign="q0", attempt="old")
    product = pod.product("msap4", "q0") / "OUT.h5"
    product.chmod(0o644)
    product.write_bytes(b"next quarter")
    assert refused(pod, step(inputs=[previous()])).reason == "ChecksumMismatch"
    product.unlink()
    assert refused(pod, step(inputs=[previous()])).reason == "InputMissing"


def test_a_late_input_that_changes_while_it_is_brought_is_refused(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    aux = pod.light_curve.parent / "aux.h5"
    aux.write_bytes(b"before")
    real, openings = os.open, iter([b"before", b"after"])

    def opened(path: str | os.PathLike[str], *rest: int, **named: int) -> int:
        if os.fspath(path) == str(aux):
            aux.write_bytes(next(openings))
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "open", opened)
    problem = refused(pod, step(inputs=[late()]))
    assert problem.reason == "ChecksumMismatch"
    assert problem.message == "step msap1: input AUX: aux.h5 changed while it was read"
