# Broken on purpose: the page is served, and the first visitor's session stops while `total` is computed.
#
# A real case: a column was renamed in the data and the app was not told.

library(shiny)

prices <- c(net = 3, gross = 4)

price <- function(column) {
  if (!column %in% names(prices)) {
    stop(sprintf("column '%s' is not in the price list; it has: %s", column, toString(names(prices))))
  }
  prices[[column]]
}

ui <- fluidPage(
  titlePanel("Triple v4"),
  numericInput("n", "n", value = 7, step = 1),
  textOutput("total")
)

server <- function(input, output, session) {
  output$total <- renderText(sprintf("total = %g (v4)", input$n * price("price")))
}

shinyApp(ui, server)
