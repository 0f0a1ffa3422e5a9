# Three times a number as a Shiny app that breaks when it is told to.
#
# A person types a number and reads `total`; a test does the same over the app's websocket. The report is a download that
# belongs to the session, and the file under www/ is served by Shiny itself at /asset.txt.
#
# What a test does to an app must not depend on a clock. So it is told, from outside:
#   APP_VERSION=v2        the version that it shows
#   APP_BREAK=session     every session fails, from the start
#   APP_PRICES=http://…   each session reads the price service there first, and fails where that does not answer
#   /tmp/break            a file, while the app runs: `session` makes sessions fail from then on, `crash` ends the process

library(shiny)

version <- Sys.getenv("APP_VERSION", "v1")
prices <- c(net = 3, gross = 4)

order <- function() {
  words <- if (file.exists("/tmp/break")) readLines("/tmp/break", n = 1, warn = FALSE)
  if (length(words)) trimws(words) else ""
}

# The file is read when it matters, not remembered: once it is written, no session works.
is_broken <- function() Sys.getenv("APP_BREAK") == "session" || order() == "session"

# Shiny's own timer: while anything waits in later(), Shiny looks at it a thousand times a second.
observe({
  invalidateLater(200, session = NULL)
  if (order() == "crash") quit(save = "no", status = 1, runLast = FALSE)
})

price <- function(column) {
  if (!column %in% names(prices)) {
    stop(sprintf("column '%s' is not in the price list; it has: %s", column, toString(names(prices))))
  }
  prices[[column]]
}

read_prices <- function(address) {
  before <- options(timeout = 2)
  on.exit(options(before))
  silent <- function(problem) {
    stop(sprintf("the price service at %s does not answer: %s", address, conditionMessage(problem)), call. = FALSE)
  }
  tryCatch(readLines(address, warn = FALSE), error = silent, warning = silent)
}

ui <- fluidPage(
  titlePanel(paste("Triple", version)),
  numericInput("n", "n", value = 7, step = 1),
  textOutput("total"),
  downloadButton("report", "report"),
  fileInput("file", "file"),
  textOutput("upload")
)

# A page that lost its connection begins another session, with the inputs as they are.
server <- function(input, output, session) {
  session$allowReconnect("force")
  service <- Sys.getenv("APP_PRICES")
  service_prices <- reactive(if (nzchar(service)) read_prices(service))
  total <- reactive({
    req(input$n)
    service_prices()
    sprintf("total = %.0f (%s)", input$n * price(if (is_broken()) "price" else "net"), version)
  })
  output$total <- renderText(total())
  output$report <- downloadHandler("report.txt", function(file) cat("report of", total(), file = file))
  output$upload <- renderText({
    req(input$file)
    sprintf("upload = %.0f bytes", file.size(input$file$datapath))
  })
}

shinyApp(ui, server)
