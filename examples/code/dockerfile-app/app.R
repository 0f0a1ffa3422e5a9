# Three times a number, and the size of an uploaded file: a small healthy Shiny app.
#
# A person types a number and reads `total`; a test does the same over the app's websocket. The file under www/
# is served by Shiny itself at /asset.txt.

library(shiny)

version <- "v1"

ui <- fluidPage(
  titlePanel(paste("Triple", version)),
  numericInput("n", "n", value = 7, step = 1),
  textOutput("total"),
  fileInput("file", "file"),
  textOutput("upload")
)

server <- function(input, output, session) {
  output$total <- renderText({
    req(input$n)
    sprintf("total = %g (%s)", input$n * 3, version)
  })
  output$upload <- renderText({
    req(input$file)
    sprintf("upload = %g bytes", file.size(input$file$datapath))
  })
}

shinyApp(ui, server)
