{{- define "anomalyd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for "-headless" and the pod's own labels. */}}
{{- define "anomalyd.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "anomalyd.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "anomalyd.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "anomalyd.selectorLabels" -}}
app.kubernetes.io/name: {{ include "anomalyd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "anomalyd.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "anomalyd.labels" -}}
{{ include "anomalyd.selectorLabels" . }}
{{ include "anomalyd.commonLabels" . }}
{{- end -}}

{{/* The pod of `helm test`: not the server, so that no service selects it. */}}
{{- define "anomalyd.testSelectorLabels" -}}
app.kubernetes.io/name: {{ include "anomalyd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end -}}

{{- define "anomalyd.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "anomalyd.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "anomalyd.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* "true" on OpenShift, otherwise empty. */}}
{{- define "anomalyd.openshift" -}}
{{- if kindIs "bool" .Values.openshift -}}
{{- if .Values.openshift -}}true{{- end -}}
{{- else if .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
true
{{- end -}}
{{- end -}}

{{/* What the "restricted" level of Pod Security and OpenShift's restricted-v2 accept. */}}
{{- define "anomalyd.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- if not (include "anomalyd.openshift" .) }}
{{- if kindIs "invalid" .Values.podSecurityContext.runAsUser | not }}
runAsUser: {{ int64 .Values.podSecurityContext.runAsUser }}
{{- end }}
{{- if kindIs "invalid" .Values.podSecurityContext.fsGroup | not }}
fsGroup: {{ int64 .Values.podSecurityContext.fsGroup }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}
{{- end -}}

{{- define "anomalyd.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop:
    - ALL
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Long enough for the drain to end by itself. */}}
{{- define "anomalyd.terminationGracePeriodSeconds" -}}
{{- $drain := add .Values.drain.delaySeconds .Values.drain.timeoutSeconds -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds -}}
{{- add $drain 10 -}}
{{- else if lt (int64 .Values.terminationGracePeriodSeconds) (add $drain 10) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, which would cut the drain: at least %d is needed, drain.delaySeconds + drain.timeoutSeconds + 10" (int64 .Values.terminationGracePeriodSeconds) (add $drain 10)) -}}
{{- else -}}
{{- int64 .Values.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}
