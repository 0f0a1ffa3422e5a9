# Does this image have the packages that an app asks for?
#
#   check.R <file>       renv.lock: exactly these versions; DESCRIPTION: versions within these bounds
#   check.R <directory>  every package that the code of DATAAPP_ENTRYPOINT loads with library() or names before ::
#
# With a second argument, what this image has is written into that file.
#
# Nothing is installed and nothing is put in another's place: what differs is told in one line, with what was asked for
# and what there is, and the build ends.

installed <- function() {
  found <- installed.packages()[, c("Package", "Version"), drop = FALSE]
  found <- found[!duplicated(found[, "Package"]), , drop = FALSE]
  stats::setNames(found[, "Version"], found[, "Package"])
}

fail <- function(words, reason = "PackageNotFound") {
  cat("DATAAPP-FAILED ", reason, " ", gsub("[[:cntrl:]]+", " ", words), "\n", sep = "")
  quit(save = "no", status = 1)
}

most <- function(problems, several = 8L) {
  more <- length(problems) - several
  text <- paste(utils::head(problems, several), collapse = "; ")
  if (more > 0L) paste0(text, "; and ", more, " more") else text
}

# "1.2-3" and "1.2.3" are one version to R; NULL for what is none.
version <- function(text) {
  if (!is.character(text) || length(text) != 1L) return(NULL)
  tryCatch(package_version(text), error = function(e) NULL)
}

meets <- function(offered, operator, wanted) {
  switch(operator,
    ">=" = offered >= wanted, ">" = offered > wanted, "<=" = offered <= wanted, "<" = offered < wanted,
    "==" = offered == wanted, "=" = offered == wanted, "!=" = offered != wanted, NA
  )
}

offers <- function(have, name) {
  if (name %in% names(have)) paste("the base image has", have[[name]]) else "the base image does not have it"
}

check_lock <- function(file, have) {
  lock <- jsonlite::fromJSON(file, simplifyVector = FALSE)
  problems <- character()
  locked <- version(lock$R$Version)
  ours <- getRversion()
  if (!is.null(locked) && !identical(unlist(locked)[1:2], unlist(ours)[1:2])) {
    problems <- sprintf("renv.lock was made with R %s; the base image has R %s", lock$R$Version, ours)
  }
  for (name in names(lock$Packages)) {
    # renv keeps a library; there is none to keep in an image.
    if (name == "renv") next
    wanted <- lock$Packages[[name]]$Version
    same <- name %in% names(have) && identical(version(have[[name]]), version(wanted))
    if (!same) {
      problems <- c(problems, sprintf("renv.lock asks for %s %s; %s", name, format(wanted), offers(have, name)))
    }
  }
  problems
}

check_description <- function(file, have) {
  fields <- read.dcf(file, fields = c("Depends", "Imports"))
  entries <- trimws(unlist(strsplit(stats::na.omit(c(fields)), ",")))
  problems <- character()
  for (entry in entries[nzchar(entries)]) {
    parts <- regmatches(entry, regexec("^([A-Za-z][A-Za-z0-9.]*)[[:space:]]*(\\([[:space:]]*([<>=!]+)[[:space:]]*([^)[:space:]]+)[[:space:]]*\\))?$", entry))[[1]]
    if (!length(parts)) {
      problems <- c(problems, sprintf("DESCRIPTION: %s is no package's name with a version, like dplyr (>= 1.1.0)", sQuote(entry, FALSE)))
      next
    }
    name <- parts[[2]]
    offered <- if (name == "R") as.character(getRversion()) else if (name %in% names(have)) have[[name]] else NULL
    bound <- version(parts[[5]])
    good <- !is.null(offered) && (!nzchar(parts[[3]]) || (!is.null(bound) && isTRUE(meets(version(offered), parts[[4]], bound))))
    if (!good) {
      where <- if (name == "R") paste("the base image has R", offered) else offers(have, name)
      problems <- c(problems, sprintf("DESCRIPTION asks for %s; %s", entry, where))
    }
  }
  problems
}

# Packages that this code certainly loads. What stands under a condition, or where a failure is caught, may well be
# something the app can do without.
loaded <- function(code, found = character()) {
  if (is.expression(code)) {
    for (part in as.list(code)) found <- loaded(part, found)
    return(found)
  }
  if (!is.call(code)) return(found)
  what <- code[[1]]
  name <- if (is.symbol(what)) as.character(what) else ""
  if (name %in% c("if", "while", "for", "switch", "try", "tryCatch", "withCallingHandlers", "quote", "bquote", "~")) return(found)
  if (name %in% c("::", ":::")) return(c(found, as.character(code[[2]])))
  if (name == "library" && length(code) >= 2L) {
    given <- as.list(code)[-1]
    named <- names(given)
    plain <- is.null(named) || !any(named %in% c("character.only", "help", "lib.loc", "logical.return"))
    first <- given[[1]]
    if (plain && (is.symbol(first) || is.character(first))) return(c(found, as.character(first)))
    return(found)
  }
  parts <- as.list(code)
  for (index in seq_along(parts)) {
    # By its place and not by name: an argument may be left empty, as in x[, 1].
    if (is.call(parts[[index]])) found <- loaded(parts[[index]], found)
  }
  found
}

sourced <- function(code) {
  found <- character()
  for (part in as.list(code)) {
    if (is.call(part) && identical(part[[1]], as.symbol("source")) && length(part) >= 2L && is.character(part[[2]])) {
      found <- c(found, part[[2]])
    }
  }
  found
}

check_code <- function(directory, entry, have) {
  at <- file.path(directory, dirname(entry))
  beside <- list.files(at, pattern = "^(app|server|ui|global)\\.[Rr]$", full.names = TRUE)
  waiting <- unique(c(file.path(directory, entry), beside, list.files(file.path(at, "R"), "\\.[Rr]$", full.names = TRUE)))
  problems <- character()
  seen <- character()
  told <- character()
  while (length(waiting)) {
    file <- waiting[[1]]
    waiting <- waiting[-1]
    if (file %in% seen || !file.exists(file)) next
    seen <- c(seen, file)
    code <- tryCatch(parse(file, keep.source = FALSE, encoding = "UTF-8"), error = function(e) e)
    short <- sub(paste0(directory, "/"), "", sub("/./", "/", file, fixed = TRUE), fixed = TRUE)
    if (inherits(code, "error")) {
      # R's words are "path:line:column: unexpected …" and then the lines themselves.
      words <- sub("^.*?:([0-9]+):[0-9]+: ", "line \\1: ", strsplit(conditionMessage(code), "\n")[[1]][[1]], perl = TRUE)
      fail(paste(short, "is not valid R,", words), "BuildFailed")
    }
    waiting <- c(waiting, file.path(at, sourced(code)))
    for (name in setdiff(unique(loaded(code)), c(names(have), told))) {
      told <- c(told, name)
      problems <- c(problems, sprintf("%s loads the package %s; the base image does not have it", short, name))
    }
  }
  problems
}

main <- function(arguments) {
  have <- installed()
  file <- arguments[[1]]
  problems <- switch(basename(file),
    renv.lock = check_lock(file, have),
    DESCRIPTION = check_description(file, have),
    check_code(file, Sys.getenv("DATAAPP_ENTRYPOINT", "app.R"), have)
  )
  if (length(problems)) fail(most(problems))
  if (length(arguments) > 1L) writeLines(paste(names(have), have), arguments[[2]])
}

main(commandArgs(trailingOnly = TRUE))
