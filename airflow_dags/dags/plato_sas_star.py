"""### One star

Processes one star with a pipeline and with parameters of its own. A star that has already succeeded counts at once,
unless *Run again* is set.
"""

from airflow.sdk import Param, dag

from plato_sas_airflow.mission import forms
from plato_sas_airflow.mission.campaigns import previous_campaign
from plato_sas_airflow.operators.star_processing import StarProcessingOperator
from plato_sas_airflow.settings import Settings

SETTINGS = Settings.read()


@dag(
    schedule=None,
    description="Processes one star",
    doc_md=__doc__,
    user_defined_macros={"previous_campaign": previous_campaign},
    params={
        **forms.star(),
        **forms.campaign(SETTINGS),
        **forms.place(SETTINGS, __file__),
        **forms.previous(SETTINGS),
        **forms.parameters(),
        "inputs": Param(
            {},
            type=["object", "null"],
            title="Inputs",
            description="Files whose path on the inputs volume differs from the pipeline's: "
            '{"DP1_LC_MERGED": {"path": "x.h5"}}.',
        ),
        "priority": Param(
            100,
            type="integer",
            minimum=-1000,
            maximum=1000,
            title="Priority",
            description="Stars of higher priority are started first.",
        ),
        "stages": Param(
            "",
            enum=["", "Fused", "PerStep"],
            title="Stages",
            description="How steps become pods; as in the pipeline if empty.",
        ),
        "rerun": Param(
            False,
            type="boolean",
            title="Run again",
            description="Assess every step again; steps for which nothing has changed are reused.",
        ),
        "rerun_from": forms.steps("Run again from", "These steps run even if nothing has changed for them."),
    },
    **forms.common(SETTINGS, "star"),
)
def plato_sas_star() -> None:
    StarProcessingOperator(
        task_id="star",
        star="{{ params.star }}",
        campaign="{{ params.campaign }}",
        pipeline="{{ params.pipeline }}",
        namespace="{{ params.namespace or '' }}",
        previous_campaign="{{ previous_campaign(params.campaign, params.previous_campaign) }}",
        parameters="{{ (params.parameters or {}) | tojson }}",
        inputs="{{ (params.inputs or {}) | tojson }}",
        priority="{{ params.priority }}",
        stages="{{ params.stages }}",
        rerun="{{ params.rerun }}",
        rerun_from="{{ params.rerun_from | tojson }}",
        **forms.star_tasks(SETTINGS),
    )


plato_sas_star()
