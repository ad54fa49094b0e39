{{/* The chart's name. */}}
{{- define "plato-sas.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The beginning of the names of all objects; short enough for the longest ending. */}}
{{- define "plato-sas.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "plato-sas.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "plato-sas.operatorName" -}}
{{- include "plato-sas.fullname" . }}-operator
{{- end -}}

{{/* What selects the operator's pod. Never app.kubernetes.io/managed-by: that label tells module pods apart. */}}
{{- define "plato-sas.selectorLabels" -}}
app.kubernetes.io/name: {{ include "plato-sas.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels of every object. Arguments: root, component. */}}
{{- define "plato-sas.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "plato-sas.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: plato-sas
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{- define "plato-sas.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "plato-sas.operatorName" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image reference. Arguments: root, image. */}}
{{- define "plato-sas.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* A map as key=value,key=value. */}}
{{- define "plato-sas.pairs" -}}
{{- $pairs := list -}}
{{- range $key, $value := . -}}
{{- $pairs = append $pairs (printf "%s=%s" $key $value) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{/* Stop with a clear message where an API is not there. Arguments: root, api, value, what. */}}
{{- define "plato-sas.requireApi" -}}
{{- if not (.root.Capabilities.APIVersions.Has .api) -}}
{{- fail (printf "%s is true, but the cluster does not have the API %s: install %s, or pass --api-versions %s to helm template" .value .api .what .api) -}}
{{- end -}}
{{- end -}}

{{/* A subject of a RoleBinding, as an item of a list. Arguments: root, subject. */}}
{{- define "plato-sas.subject" -}}
- kind: {{ .subject.kind }}
  name: {{ .subject.name | quote }}
  {{- if eq .subject.kind "ServiceAccount" }}
  namespace: {{ default .root.Release.Namespace .subject.namespace }}
  {{- else }}
  apiGroup: rbac.authorization.k8s.io
  {{- end }}
{{- end }}

{{/* Where the operator sees the products volume. */}}
{{- define "plato-sas.productsPath" -}}
/sas/products
{{- end -}}

{{/* Not empty if the operator writes to the products volume: logs or archive. */}}
{{- define "plato-sas.writesProducts" -}}
{{- if or .Values.controller.logs.keep .Values.controller.archive -}}
true
{{- end -}}
{{- end -}}

{{/* The controller's settings. */}}
{{- define "plato-sas.environment" -}}
- name: PLATO_SAS_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: PLATO_SAS_STAGER_IMAGE
  value: {{ include "plato-sas.image" (dict "root" . "image" .Values.images.stager) | quote }}
- name: PLATO_SAS_CATALOGUE_IMAGE
  value: {{ include "plato-sas.image" (dict "root" . "image" .Values.images.catalogue) | quote }}
- name: PLATO_SAS_INPUTS_CLAIM
  value: {{ .Values.storage.inputs.claimName | quote }}
- name: PLATO_SAS_PRODUCTS_CLAIM
  value: {{ .Values.storage.products.claimName | quote }}
- name: PLATO_SAS_USER
  value: {{ .Values.modules.user | int64 | quote }}
- name: PLATO_SAS_IMAGE_PULL_POLICY
  value: {{ .Values.images.pullPolicy | quote }}
{{- with .Values.images.pullSecrets }}
- name: PLATO_SAS_IMAGE_PULL_SECRETS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.modules.nodeSelector }}
- name: PLATO_SAS_NODE_SELECTOR
  value: {{ include "plato-sas.pairs" . | quote }}
{{- end }}
{{- with .Values.modules.tolerations }}
- name: PLATO_SAS_TOLERATIONS
  value: {{ toJson . | quote }}
{{- end }}
{{- with .Values.modules.priorityClassName }}
- name: PLATO_SAS_PRIORITY_CLASS
  value: {{ . | quote }}
{{- end }}
{{- with .Values.modules.podAnnotations }}
- name: PLATO_SAS_POD_ANNOTATIONS
  value: {{ toJson . | quote }}
{{- end }}
{{- with .Values.modules.podLabels }}
- name: PLATO_SAS_POD_LABELS
  value: {{ toJson . | quote }}
{{- end }}
- name: PLATO_SAS_INPUT_PREFIXES
  value: {{ join "," .Values.controller.inputPrefixes | quote }}
- name: PLATO_SAS_MAX_OUTPUT_SIZE
  value: {{ .Values.modules.maxOutputSize | quote }}
- name: PLATO_SAS_MAX_ACTIVE_STARS
  value: {{ .Values.controller.maxActiveStars | int64 | quote }}
- name: PLATO_SAS_WORKERS
  value: {{ .Values.controller.workers | int64 | quote }}
- name: PLATO_SAS_JOB_TTL_SECONDS
  value: {{ .Values.controller.jobTtlSeconds | int64 | quote }}
- name: PLATO_SAS_STAR_TTL_SECONDS
  value: {{ .Values.controller.starTtlSeconds | int64 | quote }}
- name: PLATO_SAS_STATUS_INTERVAL_SECONDS
  value: {{ .Values.controller.statusIntervalSeconds | int64 | quote }}
- name: PLATO_SAS_MAX_STEPS_PER_STAGE
  value: {{ .Values.controller.maxStepsPerStage | int64 | quote }}
- name: PLATO_SAS_START_SECONDS
  value: {{ .Values.controller.startSeconds | int64 | quote }}
- name: PLATO_SAS_NORMAL_EVENTS
  value: {{ .Values.controller.normalEvents | quote }}
- name: PLATO_SAS_STUCK_SECONDS
  value: {{ .Values.controller.stuckSeconds | int64 | quote }}
- name: PLATO_SAS_PRODUCTS
  value: {{ include "plato-sas.productsPath" . }}
- name: PLATO_SAS_KEEP_LOGS
  value: {{ .Values.controller.logs.keep | quote }}
- name: PLATO_SAS_LOG_MAX_BYTES
  value: {{ .Values.controller.logs.maxBytes | int64 | quote }}
- name: PLATO_SAS_LOG_WORKERS
  value: {{ .Values.controller.logs.workers | int64 | quote }}
- name: PLATO_SAS_ARCHIVE
  value: {{ .Values.controller.archive | quote }}
- name: PLATO_SAS_RESYNC_SECONDS
  value: {{ .Values.controller.resyncSeconds | int64 | quote }}
- name: PLATO_SAS_LEASE
  value: {{ include "plato-sas.operatorName" . }}
# The process's name for the Lease and for kopf, which would ask for the user's name otherwise, and uid 10001 has none.
- name: POD_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: PLATO_SAS_POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
- name: PLATO_SAS_HEALTH_PORT
  value: "8080"
- name: PLATO_SAS_METRICS_PORT
  value: "9090"
{{- end -}}
