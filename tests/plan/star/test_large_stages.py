"""Every order for a pod fits into one variable of its environment."""

from plato_sas.api import StarState
from plato_sas.plan.graph.graph import Graph, build_graph
from plato_sas.plan.graph.size import MAX_PARAMETERS, MAX_PATHS, MAX_STEP, step_size
from tests.support.samples import graph, module, pipeline
from tests.support.simulator import World

MAX_ARG_STRLEN = 128 * 1024
CHAIN = {"a": [], "b": ["a"], "c": ["b"], "d": ["c"], "e": ["d"]}


def orders(world: World) -> list[int]:
    return [len(f"SAS_STAGE={job.run.description.to_json()}\0") for job in world.jobs.values()]


def test_steps_that_do_not_fit_into_one_stage_run_in_several() -> None:
    world = World(graph(CHAIN, module_fields={one: {"args": ["x" * 1024] * 40} for one in CHAIN}))
    world.run()
    assert world.state is StarState.SUCCEEDED
    assert set(world.states().values()) == {"Succeeded"}
    assert world.created == ["a/1+b/1+c/1", "d/1+e/1"]
    assert max(orders(world)) < MAX_ARG_STRLEN


def largest() -> Graph:
    """One step, as large as a pipeline may have it."""
    names = [f"I{at}_{'x' * 58}" for at in range(10, 50)]
    spec = pipeline(
        [{"name": "s" * 32, "module": "m" * 63, "inputs": [{"name": name, "external": name} for name in names]}],
        externals=[{"name": name, "path": f"{name}.h5"} for name in names],
    )
    declared = [{"name": f"p{at}", "type": "string", "default": ""} for at in range(60)]
    fields = {"inputs": [{"name": name} for name in names], "parameters": declared}
    for length in range(1024, 0, -1):
        wordy = module(args=["x" * length] * 64, **fields)
        if step_size("s" * 32, "m" * 63, wordy, dict.fromkeys(names, f"{'x' * 62}.h5"), {}) < MAX_STEP - 2000:
            return build_graph("sas-test", spec, {"m" * 63: wordy})
    raise AssertionError("no module is small enough")


def test_the_largest_step_with_all_that_a_star_may_set_fits() -> None:
    built = largest()
    (step,) = built.steps
    spare = " " * 40
    parameters = {step.name: {f"p{at}": spare + "x" * (MAX_PARAMETERS // 60 - 60) for at in range(60)}}
    inputs = {name: {"path": "{star}" * (MAX_PATHS // 40 // 50), "sha256": "0" * 64} for name in built.externals}
    world = World(built, star="S" * 48, campaign="C" * 48, parameters=parameters, inputs=inputs)
    world.decide()
    assert world.condition("Accepted")[0] == "True"
    (size,) = orders(world)
    assert 100_000 < size < MAX_ARG_STRLEN
