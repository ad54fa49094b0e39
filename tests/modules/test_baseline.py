"""The baseline pipeline and its catalogue against the table of PLATO-LESIA-PSPM-DD-0021 (v1.08), and the stand-ins."""

import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from plato_sas.api import ScienceModule, ScienceModuleSpec, StageMode, StarPipeline
from plato_sas.plan.graph.graph import Graph, build_graph
from tests.support.simulator import Ok, World

REPOSITORY = Path(__file__).resolve().parents[2]
SYNTHETIC = "localhost/plato-sas/synthetic:0.1.0"
Facts = Mapping[str, bool]

# What each step needs: steps, externals in capitals, `Q-1:step`; in [] what it can do without.
ESTIMATES = "[msap5-11] [msap5-12] [msap5-13] [msap5-14] [msap5-15] [msap5-21] [msap5-22] [msap5-23] [msap5-24]"
NEEDS = {
    "msap1-02": "DP1_LC_MERGED PFU_STAR_DATA [Q-1:msap4-07]",
    "msap1-01": "DP1_LC_MERGED msap1-02 [IDP_EAS_QC_TARGET_TCE_DETECTION] [IDP_EAS_TRANSIT_REMOVAL_KIT]",
    "msap1-07": "msap1-01 [Q-1:msap3-03]",
    "msap1-08": "msap1-01",
    "msap3-01": "msap1-07 PFU_STAR_DATA",
    "msap3-02": "msap1-07 msap3-01",
    "msap3-03": "msap1-07 msap3-01 msap3-02 PFU_STAR_DATA",
    "msap3-04": "msap1-07 msap3-03",
    "msap4-01": "msap1-01 msap1-08",
    "msap4-02": "msap1-08",
    "msap4-03": "msap1-08 msap4-01 msap4-02",
    "msap4-04": "msap1-01 msap4-01",
    "msap4-06": "msap4-01 msap4-02 msap4-03",
    "msap4-07": "msap4-03",
    "msap2-01": "[msap3-03] [msap4-04] PFU_STAR_DATA",
    "msap2-02": "msap2-01 PFU_SPECTRUM",
    "msap2-03": "msap2-01 msap2-02",
    "msap5-11": "msap3-03 msap2-03",
    "msap5-12": "msap3-03 PFU_STAR_DATA",
    "msap5-13": "msap3-04",
    "msap5-14": "msap3-04",
    "msap5-15": "msap3-04",
    "msap5-21": "msap4-07 PFU_STAR_DATA [msap2-03]",
    "msap5-22": "msap4-07 PFU_STAR_DATA [msap2-03]",
    "msap5-23": "msap4-04 msap2-03",
    "msap5-24": "msap4-04 msap2-03",
    "msap5-31": ESTIMATES,
    "msap5-32": f"msap5-31 {ESTIMATES}",
    "msap5-33": "msap5-31",
    "msap5-34": "msap5-32 [msap5-12]",
}

# When each step runs; always, if it is not here.
RUNS_WHEN: dict[str, Callable[[Facts], bool]] = {
    "msap3-04": lambda facts: facts["peakbagging_flag"],
    **dict.fromkeys(
        ("msap2-01", "msap2-02", "msap2-03"), lambda facts: facts["osc_detection_flag"] or facts["logg_flag"]
    ),
    **dict.fromkeys(("msap5-11", "msap5-12"), lambda facts: facts["osc_detection_flag"]),
    "msap5-13": lambda facts: facts["individual_frequencies"] and facts["mixed_modes"],
    **dict.fromkeys(("msap5-14", "msap5-15"), lambda facts: facts["individual_frequencies"]),
    "msap5-21": lambda facts: facts["prot_detected"],
    "msap5-22": lambda facts: facts["sph_detected"],
    **dict.fromkeys(("msap5-23", "msap5-24"), lambda facts: facts["logg_flag"]),
    "msap5-32": lambda facts: facts["consistent"],
    "msap5-33": lambda facts: not facts["consistent"],
    "msap5-34": lambda facts: facts["consistent"],
}  # fmt: skip
FACTS = {
    "osc_detection_flag": "msap3-03", "peakbagging_flag": "msap3-03", "logg_flag": "msap4-04",
    "individual_frequencies": "msap3-04", "mixed_modes": "msap3-04", "prot_detected": "msap4-07",
    "sph_detected": "msap4-07", "consistent": "msap5-31",
}  # fmt: skip

MASS_RADIUS_AGE = ("MASS", "RADIUS", "AGE")
MAIN_OUTPUTS = {
    "msap1-02": {"IDP_SAS_FLARES_FLAG"},
    "msap1-01": {"IDP_SAS_VARLC", "IDP_SAS_VARPSD"},
    "msap1-07": {"IDP_SAS_AARLC", "IDP_SAS_AARPSD"},
    "msap1-08": {"IDP_SAS_VARLC_BINNED", "IDP_SAS_VARPSD_BINNED"},
    "msap3-01": {"IDP_SAS_POWER_EXCESS_PROBABILITY", "IDP_SAS_POWER_EXCESS_METRICS"},
    "msap3-02": {"IDP_SAS_ACF_PROBABILITY", "IDP_SAS_ACF_METRICS"},
    "msap3-03": {
        "DP3_SAS_NU_MAX", "DP3_SAS_DELTA_NU_AV", "IDP_SAS_BACKGROUND_FIT", "IDP_SAS_SEISMIC_DETECTION_FLAG"
    },
    "msap3-04": {"DP3_SAS_OSC_FREQ", "DP3_SAS_OSC_FREQ_COVMAT", "IDP_SAS_SEISMIC_QUALITY_METADATA"},
    "msap4-01": {"DP4_SAS_HARVEY", "IDP_SAS_PROT_FOURIER"},
    "msap4-02": {"IDP_SAS_PROT_TIMESERIES", "IDP_SAS_ACF_TIMESERIES"},
    "msap4-03": {"IDP_SAS_PROT_NOSPOT", "IDP_SAS_S_PHOTO_INDEX"},
    "msap4-04": {"IDP_SAS_LOGG_FLIPER"},
    "msap4-06": {"DP4_SAS_LONGTERM_MODULATION"},
    "msap4-07": {"DP4_SAS_PROT", "DP4_SAS_DELTAPROT", "DP4_SAS_SPH"},
    "msap2-01": {"IDP_SAS_LOGG_SAPP_TMP"},
    "msap2-02": {"IDP_SAS_TEFF_SPECTROSCOPY"},
    "msap2-03": {f"IDP_SAS_{one}_SAPP" for one in ("TEFF", "LOGG", "FE_H", "RADIUS", "COVMAT")},
    "msap5-11": {f"IDP_SAS_{one}_SCALING_GRIDS" for one in MASS_RADIUS_AGE},
    "msap5-12": {"IDP_SAS_MASS_SCALING_ONLY", "IDP_SAS_RADIUS_SCALING_ONLY"},
    "msap5-13": {f"IDP_SAS_{one}_GRID_MIXED" for one in MASS_RADIUS_AGE},
    "msap5-14": {f"IDP_SAS_{one}_GRID_FREQS" for one in MASS_RADIUS_AGE},
    "msap5-15": {f"IDP_SAS_{one}_GRID_SURFACE_INDEPENDENT" for one in MASS_RADIUS_AGE},
    "msap5-21": {"IDP_SAS_AGE_GYRO"},
    "msap5-22": {"IDP_SAS_AGE_ACTIVITY"},
    "msap5-23": {"IDP_SAS_MASS_GRANULATION"},
    "msap5-24": {f"IDP_SAS_{one}_GRANULATION_CGBM" for one in MASS_RADIUS_AGE},
    "msap5-31": {"IDP_SAS_CONSISTENCY_FLAGS"},
    "msap5-32": {f"IDP_SAS_{one}_PRIORITY" for one in MASS_RADIUS_AGE},
    "msap5-33": {"IDP_SAS_CONSISTENCY_REPORT"},
    "msap5-34": {f"DP5_SAS_{one}" for one in (*MASS_RADIUS_AGE, "METADATA")},
}  # fmt: skip


@pytest.fixture(scope="module")
def modules() -> dict[str, ScienceModuleSpec]:
    """The repository's catalogue."""
    texts = [path.read_text() for path in sorted(REPOSITORY.glob("modules/*/module.yaml"))]
    found = [ScienceModule.model_validate(one) for text in texts for one in yaml.safe_load_all(text)]
    names = [one.metadata.name for one in found]
    assert len(names) == len(set(names))
    return {one.metadata.name: one.spec for one in found}


@pytest.fixture(scope="module")
def pipeline() -> StarPipeline:
    return StarPipeline.model_validate(
        yaml.safe_load((REPOSITORY / "manifests/pipelines/sas-baseline.yaml").read_text())
    )


@pytest.fixture(scope="module")
def graph(pipeline: StarPipeline, modules: dict[str, ScienceModuleSpec]) -> Graph:
    """Sound: all that is consumed is declared, conditions are well typed, no cycle."""
    return build_graph("sas-baseline", pipeline.spec, modules)


def test_it_has_the_thirty_steps_and_fuses_them(graph: Graph) -> None:
    assert len(NEEDS) == 30
    assert {step.name for step in graph.steps} == NEEDS.keys() == MAIN_OUTPUTS.keys()
    assert graph.stages is StageMode.FUSED


@pytest.mark.parametrize("name", NEEDS)
def test_every_step_reads_what_the_table_says(graph: Graph, name: str) -> None:
    sources: dict[str, bool] = {}
    for one in graph.step(name).inputs:
        source = one.external or one.step or f"Q-1:{one.previous}"
        sources[source] = sources.get(source, True) and one.optional
    assert " ".join(sorted(f"[{one}]" if optional else one for one, optional in sources.items())) == " ".join(
        sorted(NEEDS[name].split())
    )


@pytest.mark.parametrize("name", NEEDS)
def test_every_step_runs_when_the_table_says(graph: Graph, name: str) -> None:
    condition = graph.step(name).when
    expected = RUNS_WHEN.get(name)
    assert (condition is None) == (expected is None)
    if condition is None or expected is None:
        return
    for values in itertools.product((False, True), repeat=len(FACTS)):
        facts = dict(zip(FACTS, values, strict=True))
        by_step: dict[str, dict[str, bool]] = {}
        for fact, value in facts.items():
            by_step.setdefault(FACTS[fact], {})[fact] = value
        assert condition.evaluate(by_step) is expected(facts), facts


def test_every_step_makes_the_main_outputs_of_the_table(graph: Graph) -> None:
    for step in graph.steps:
        assert MAIN_OUTPUTS[step.name] <= {one.name for one in step.module.outputs}, step.name


def test_what_is_synthetic_says_so(pipeline: StarPipeline, graph: Graph, modules: dict[str, ScienceModuleSpec]) -> None:
    for name, spec in modules.items():
        assert name.startswith("synthetic-") == (spec.image == SYNTHETIC), name
        if spec.image == SYNTHETIC:
            assert (spec.description or "").startswith(
                f"Synthetic, no science: takes the place of {name.removeprefix('synthetic-')}, "
            )
    real = {step.name for step in graph.steps if not step.module_name.startswith("synthetic-")}
    description = pipeline.spec.description or ""
    assert set(re.findall(r"msap\d-\d\d", description)) == real
    assert "other twenty-one are synthetic" in description
    assert len(real) == 30 - 21
    assert all(step.module_name == f"synthetic-{step.name}" for step in graph.steps if step.name not in real)


def test_the_stand_ins_are_told_what_they_declare(modules: dict[str, ScienceModuleSpec]) -> None:
    for name, spec in modules.items():
        if spec.image != SYNTHETIC:
            continue
        arguments = [one.partition("=")[::2] for one in spec.args or []]
        told = {option: [text for other, text in arguments if other == option] for option, _ in arguments}
        assert told.get("--input", []) == [one.name for one in spec.inputs if not one.optional], name
        assert told["--output"] == [one.file_name for one in spec.outputs], name
        assert told.get("--fact", []) == [f"{one.name}:{one.type.value}" for one in spec.facts], name
        outputs = {one.name for one in spec.outputs}
        assert {text.partition("=")[0] for text in told.get("--value", [])} <= outputs, name


SEISMIC = ("osc_detection_flag", "peakbagging_flag", "individual_frequencies", "mixed_modes")
DETECTED = ("DP3_SAS_NU_MAX", "DP3_SAS_DELTA_NU_AV", "IDP_SAS_DELTA_NU_02", "IDP_SAS_BACKGROUND_FIT")


@pytest.mark.parametrize("oscillates", [False, True])
@pytest.mark.parametrize("granulates", [False, True])
@pytest.mark.parametrize("rotates", [False, True])
@pytest.mark.parametrize("consistent", [False, True])
def test_every_kind_of_star_ends_well_in_four_jobs(
    graph: Graph, oscillates: bool, granulates: bool, rotates: bool, consistent: bool
) -> None:
    facts = dict.fromkeys(SEISMIC, oscillates) | {
        "logg_flag": granulates, "prot_detected": rotates, "sph_detected": rotates, "consistent": consistent
    }  # fmt: skip
    missing = {
        "msap3-03": () if oscillates else DETECTED,
        "msap4-03": () if rotates else ("IDP_SAS_S_PHOTO_INDEX",),
        "msap4-07": () if rotates else ("DP4_SAS_PROT", "DP4_SAS_DELTAPROT", "DP4_SAS_SPH"),
    }

    def outcome(step: str, _run: int, _memory: int) -> Ok:
        told = {name: value for name, value in facts.items() if FACTS[name] == step}
        return Ok(told, tuple(missing.get(step, ())))

    world = World(graph, outcome).run()
    expected = {name: "Succeeded" if RUNS_WHEN.get(name, lambda _: True)(facts) else "Skipped" for name in NEEDS}
    assert world.states() == expected
    assert world.state.value == "Succeeded"
    assert len(world.created) == 4
