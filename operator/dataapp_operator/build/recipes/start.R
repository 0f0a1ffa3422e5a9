# Starts the Shiny app that DATAAPP_ENTRYPOINT names: the directory of an app.R or server.R, or any other file as it is.
local({
  entry <- file.path("/app", Sys.getenv("DATAAPP_ENTRYPOINT", "app.R"))
  whole <- tolower(basename(entry)) %in% c("app.r", "server.r")
  shiny::runApp(
    if (whole) dirname(entry) else entry,
    host = "0.0.0.0",
    port = as.integer(Sys.getenv("DATAAPP_PORT", "3838")),
    launch.browser = FALSE
  )
})
