"""A resource as JSON, and the labels and annotations that this package sets."""

from plato_sas.api import GROUP, Document

BATCH_LABEL = f"{GROUP}/batch"
STAR_LABEL = f"{GROUP}/star"
CAMPAIGN_LABEL = f"{GROUP}/campaign"
CLAIM_ANNOTATION = f"{GROUP}/claim"
TASK_ANNOTATION = f"{GROUP}/airflow-task"
RERUN_ANNOTATION = f"{GROUP}/airflow-rerun"

Resource = Document
