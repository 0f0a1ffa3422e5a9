# One scripted Python app: its directory APP and the shared scripted/ beside it, on top of streamlit-base or web-base.
ARG BASE=streamlit-base
FROM ${BASE}
ARG APP=scripted-streamlit
COPY scripted/ ${APP}/ /app/
CMD ["python3", "serve.py"]
