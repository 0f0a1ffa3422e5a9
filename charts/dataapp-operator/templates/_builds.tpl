{{/* What the operator's own pod has for builds: variables, mounts, volumes. The files are settings of app/settings.py. */}}
{{- define "dataapp-operator.buildEnv" -}}
{{- $registry := .Values.builds.registry -}}
- name: DATAAPP_BUILDS
  value: "true"
- name: DATAAPP_BUILDS_NAMESPACE
  value: {{ .Values.builds.namespace | quote }}
- name: DATAAPP_BUILDS_BUILDER_IMAGE
  value: {{ include "dataapp-operator.builderImage" . | quote }}
- name: DATAAPP_BUILDS_SOURCES_URL
  value: http://{{ include "dataapp-operator.fullname" . }}-sources.{{ .Release.Namespace }}.svc:8081
- name: DATAAPP_BUILDS_REGISTRY_HOST
  value: {{ $registry.host | quote }}
- name: DATAAPP_BUILDS_REGISTRY_INSECURE
  value: {{ $registry.insecure | quote }}
- name: DATAAPP_BUILDS_MEMORY
  value: {{ .Values.builds.resources.memory | quote }}
- name: DATAAPP_BUILDS_CPU
  value: {{ .Values.builds.resources.cpu | quote }}
- name: DATAAPP_BUILDS_DISK
  value: {{ .Values.builds.resources.disk | quote }}
- name: DATAAPP_BUILDS_DEADLINE_SECONDS
  value: {{ int64 .Values.builds.deadlineSeconds | quote }}
- name: DATAAPP_BUILDS_CONCURRENT
  value: {{ int64 .Values.builds.concurrent | quote }}
{{- with .Values.builds.bases.python }}
- name: DATAAPP_BUILDS_BASE_PYTHON
  value: {{ . | quote }}
{{- end }}
{{- with .Values.builds.bases.r }}
- name: DATAAPP_BUILDS_BASE_R
  value: {{ . | quote }}
{{- end }}
{{- with .Values.builds.pullRepositories }}
- name: DATAAPP_BUILDS_PULL_REPOSITORIES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.builds.pythonIndexUrl }}
- name: DATAAPP_BUILDS_PYTHON_INDEX_URL
  value: {{ . | quote }}
{{- end }}
{{- if $registry.tokenSecret }}
- name: DATAAPP_BUILDS_TOKEN_DIR
  value: /etc/dataapp/registry-token
{{- end }}
{{- if $registry.pushSecret }}
- name: DATAAPP_BUILDS_PUSH_CONFIG
  value: /etc/dataapp/registry-push/config.json
{{- end }}
{{- if .Values.builds.ca }}
- name: DATAAPP_BUILDS_CA
  value: /etc/dataapp/ca/ca.crt
{{- end }}
{{- end -}}

{{- define "dataapp-operator.buildMounts" -}}
{{- if .Values.builds.registry.tokenSecret }}
- name: registry-token
  mountPath: /etc/dataapp/registry-token
  readOnly: true
{{- end }}
{{- if .Values.builds.registry.pushSecret }}
- name: registry-push
  mountPath: /etc/dataapp/registry-push
  readOnly: true
{{- end }}
{{- if .Values.builds.ca }}
- name: ca
  mountPath: /etc/dataapp/ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "dataapp-operator.buildVolumes" -}}
{{- with .Values.builds.registry.tokenSecret }}
- name: registry-token
  secret:
    secretName: {{ . }}
    items:
      - {key: tls.key, path: tls.key}
      - {key: tls.crt, path: tls.crt}
{{- end }}
{{- with .Values.builds.registry.pushSecret }}
- name: registry-push
  secret:
    secretName: {{ . }}
    items:
      - {key: .dockerconfigjson, path: config.json}
{{- end }}
{{- if .Values.builds.ca }}
- name: ca
  configMap:
    name: {{ include "dataapp-operator.fullname" . }}-builds-ca
{{- end }}
{{- end -}}
