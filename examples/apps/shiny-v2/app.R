# The next version of shiny-v1: the same app, with a new heading, a share of the total and a chart.
#
# Everything that v1 answers, v2 answers too, with "v2" in its place: sessions of both can be told apart.

library(shiny)

version <- "v2"

ui <- fluidPage(
  titlePanel(paste("Triple", version)),
  p("New: half of the total, and a chart."),
  numericInput("n", "n", value = 7, step = 1),
  textOutput("total"),
  textOutput("half"),
  plotOutput("chart", height = "200px"),
  fileInput("file", "file"),
  textOutput("upload")
)

server <- function(input, output, session) {
  total <- reactive({
    req(input$n)
    input$n * 3
  })
  output$total <- renderText(sprintf("total = %g (%s)", total(), version))
  output$half <- renderText(sprintf("half = %g", total() / 2))
  output$chart <- renderPlot(barplot(c(n = input$n, total = total())))
  output$upload <- renderText({
    req(input$file)
    sprintf("upload = %g bytes", file.size(input$file$datapath))
  })
}

shinyApp(ui, server)
