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

{{- define "dataapp-operator.builderImage" -}}
{{- include "dataapp-operator.reference" (dict "image" .Values.builds.builderImage "version" .Chart.AppVersion) -}}
{{- end -}}

{{/* "yes" where images are built. What that cannot do without is asked for here, one sentence for each. */}}
{{- define "dataapp-operator.builds" -}}
{{- $builds := .Values.builds -}}
{{- if $builds.enabled -}}
{{- if not .Values.sources.enabled -}}
{{- fail "builds.enabled needs sources.enabled, since what is built is read from git: --set sources.enabled=true, or builds.enabled=false." -}}
{{- end -}}
{{- if not $builds.builderImage.repository -}}
{{- fail "Say where your cluster pulls the image of build pods from: --set builds.builderImage.repository=registry.example.org/platform/dataapp-builder (and builds.builderImage.digest, best, or builds.builderImage.tag)." -}}
{{- end -}}
{{- if not $builds.registry.host -}}
{{- fail "Say which registry the built images go to: --set builds.registry.host=registry.example.org." -}}
{{- end -}}
{{- if and $builds.registry.tokenSecret $builds.registry.pushSecret -}}
{{- fail "builds.registry.tokenSecret and builds.registry.pushSecret are both set: keep tokenSecret if your registry checks tokens (each build can then write its own app's images only), else pushSecret." -}}
{{- end -}}
{{- if not (or $builds.bases.python $builds.bases.r) -}}
{{- fail "Say what builds start from: --set builds.bases.python=registry.example.org/base/build-python@sha256:… for Python apps, builds.bases.r for R, or both." -}}
{{- end -}}
{{- if eq $builds.namespace .Release.Namespace -}}
{{- fail (printf "builds.namespace is %s, where the operator itself runs: builds need a namespace of their own, for instance dataapp-builds." $builds.namespace) -}}
{{- end -}}
yes
{{- end -}}
{{- end -}}
