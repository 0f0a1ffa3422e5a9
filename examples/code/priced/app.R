# The next version of shiny-r-salmon: what a piece costs comes from a price service, asked in every session.
#
# It passes every check as long as the service answers. Without the service a visitor sees the error, while the server
# goes on answering 200.

library(shiny)

version <- "v4"
price_url <- "http://prices/net"
options(timeout = 2)

ui <- fluidPage(
  titlePanel(paste("Triple", version)),
  p("New: the price of today."),
  numericInput("n", "n", value = 7, step = 1),
  textOutput("total"),
  fileInput("file", "file"),
  textOutput("upload")
)

server <- function(input, output, session) {
  output$total <- renderText({
    req(input$n)
    price <- as.numeric(readLines(price_url, warn = FALSE))
    sprintf("total = %g (%s)", input$n * price, version)
  })
  output$upload <- renderText({
    req(input$file)
    sprintf("upload = %g bytes", file.size(input$file$datapath))
  })
}

shinyApp(ui, server)
