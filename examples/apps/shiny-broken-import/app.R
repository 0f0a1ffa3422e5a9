# Broken on purpose: the package below is not in the image.
#
# Shiny for R reads this file when it starts, so the process ends at once with R's own sentence about the package.

library(shiny)
library(janitor)

ui <- fluidPage(
  titlePanel("Triple v3"),
  numericInput("n", "n", value = 7, step = 1),
  textOutput("total")
)

server <- function(input, output, session) {
  output$total <- renderText(paste("total =", round_half_up(input$n * 3), "(v3)"))
}

shinyApp(ui, server)
