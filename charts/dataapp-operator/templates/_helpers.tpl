{{/* The name of everything that the chart creates. */}}
{{- define "dataapp-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "dataapp-operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "dataapp-operator.fullname" .) -}}
{{- end -}}

{{/* What a Deployment and a Service find the pod by: never changes during an upgrade. */}}
{{- define "dataapp-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "dataapp-operator.labels" -}}
{{ include "dataapp-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image reference: a digest wins over a tag, and the chart's version stands in for both. */}}
{{- define "dataapp-operator.reference" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .version) -}}
{{- end -}}
{{- end -}}

{{- define "dataapp-operator.image" -}}
{{- if not .Values.image.repository -}}
{{- fail "Say where your cluster pulls the operator's image from: --set image.repository=registry.example.org/platform/dataapp-operator (and image.digest, best, or image.tag)." -}}
{{- end -}}
{{- include "dataapp-operator.reference" (dict "image" .Values.image "version" .Chart.AppVersion) -}}
{{- end -}}

{{- define "dataapp-operator.frontImage" -}}
{{- if not .Values.frontImage.repository -}}
{{- fail "Say where your cluster pulls the session counter's image from: --set frontImage.repository=registry.example.org/platform/dataapp-front (and frontImage.digest, best, or frontImage.tag)." -}}
{{- end -}}
{{- include "dataapp-operator.reference" (dict "image" .Values.frontImage "version" .Chart.AppVersion) -}}
{{- end -}}
