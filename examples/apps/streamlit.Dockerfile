# One Streamlit app: its directory, on top of the image built from streamlit-base/.
ARG BASE=streamlit-base
FROM ${BASE}
COPY . /app/
