# Whether the base has what is asked for, by the file that says so and nothing else: a change of code checks nothing anew.
COPY --link --chown=0:0 {{file}} /opt/dataapp/packages/
# What was found is left behind: a step that changes no file has no layer to take from the cache.
RUN ["Rscript", "--vanilla", "/opt/dataapp/check.R", "/opt/dataapp/packages/{{file}}", "/opt/dataapp/packages/found"]
