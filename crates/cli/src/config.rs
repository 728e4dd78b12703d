//! `hookaido config ...`: check, format, compare, explain, describe. The work is `hookaido-config`'s; this prints and exits.

use std::path::Path;
use std::process::ExitCode;

use hookaido_auth::SecretSource;
use hookaido_config::{
    Compiled, DiffFile, ProcessEnvironment, Question, adapt, compile, diff, explain, format, reference, secret_refs,
    validate_json,
};
use hookaido_syntax::{Diagnostic, Span, parse};

use crate::args::{Config, Diff, Explain, File, Fmt, Validate};
use crate::{file, render};

/// Bad usage, or a file that cannot be read where the reference says so.
const USAGE: u8 = 2;

pub(crate) fn run(command: Config) -> ExitCode {
    let result = match command {
        Config::Validate(options) => validate(&options),
        Config::Fmt(options) => fmt(&options),
        Config::Diff(options) => compare(&options),
        Config::Explain(options) => explanation(&options),
        Config::Reference { directive } => reference(directive.as_deref()).map(|text| print(&text)),
        Config::Adapt(options) => adapted(&options),
    };
    result.unwrap_or_else(|message| {
        eprintln!("hookaido: {message}");
        ExitCode::FAILURE
    })
}

fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

fn compiled(options: &File) -> Result<(String, Compiled), String> {
    let path = file::choose(options.config.as_deref());
    let bytes = file::read(&path)?;
    Ok((path.display().to_string(), compile(&bytes, &ProcessEnvironment::default())))
}

fn validate(options: &Validate) -> Result<ExitCode, String> {
    let path = file::choose(options.file.config.as_deref());
    let text = options.format == "text";
    let read = file::read(&path);
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(message) if text => return Err(message),
        Err(message) => {
            eprintln!("{}", pretty(&serde_json::json!({ "ok": false, "errors": [message], "diagnostics": [] })));
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut compiled = compile(&bytes, &ProcessEnvironment::default());
    if options.strict_secrets {
        check_secrets(&mut compiled);
    }
    let shown = path.display().to_string();
    if text && compiled.is_valid() {
        for warning in compiled.warnings() {
            eprintln!("{}\n", render::diagnostics(&shown, &compiled.tree, std::slice::from_ref(warning)));
        }
        let warnings = compiled.warnings().count();
        let more = if warnings == 0 { String::new() } else { format!(" (warnings: {warnings})") };
        println!("config ok{more}");
    } else if text {
        eprintln!("{}", render::diagnostics(&shown, &compiled.tree, &compiled.diagnostics));
    } else if compiled.is_valid() {
        println!("{}", pretty(&validate_json(&compiled, &shown)));
    } else {
        eprintln!("{}", pretty(&validate_json(&compiled, &shown)));
    }
    Ok(if compiled.is_valid() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Adds an error for every secret that cannot be read now.
fn check_secrets(compiled: &mut Compiled) {
    let Some(config) = &compiled.config else { return };
    let resolver = hookaido_server::secrets(&ProcessEnvironment::default());
    let problems: Vec<_> = secret_refs(config)
        .filter_map(|reference| resolver.resolve(reference).err().map(|error| (reference.to_string(), error)))
        .collect();
    for (reference, error) in problems {
        let span = find(compiled.tree.text(), &reference);
        compiled.diagnostics.push(
            Diagnostic::error("E0801", span, format!("the secret `{reference}` cannot be read: {error}"))
                .with_help("set it, or check without --strict-secrets"),
        );
        compiled.config = None;
    }
}

/// Where a reference stands in the file; its start when it was put together from placeholders.
fn find(text: &str, reference: &str) -> Span {
    let start = text.find(reference);
    start.map_or(Span::new(0, 0), |start| Span::new(start, start + reference.len()))
}

fn fmt(options: &Fmt) -> Result<ExitCode, String> {
    let path = file::choose(options.file.config.as_deref());
    let bytes = file::read(&path)?;
    let formatted = match format(&bytes) {
        Ok(formatted) => formatted,
        Err(problems) => {
            let (tree, _) = parse(&bytes);
            eprintln!("{}", render::diagnostics(&path.display().to_string(), &tree, &problems));
            return Ok(ExitCode::FAILURE);
        }
    };
    let same = formatted.as_bytes() == bytes;
    if options.check {
        if !same {
            eprintln!("{} is not in canonical form; run `hookaido config fmt --write`", path.display());
        }
        return Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if !options.write {
        return Ok(print(&formatted));
    }
    if !same {
        replace(&path, &formatted).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces a file in one step, so that a reader never sees half of it.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = std::fs::canonicalize(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    std::fs::write(&name, text)?;
    std::fs::set_permissions(&name, std::fs::metadata(&path)?.permissions())?;
    std::fs::rename(&name, &path)
}

fn compare(options: &Diff) -> Result<ExitCode, String> {
    let mut canonical = Vec::new();
    for path in [&options.old, &options.new] {
        let bytes = match file::read(path) {
            Ok(bytes) => bytes,
            Err(message) => {
                eprintln!("hookaido: {message}");
                return Ok(ExitCode::from(USAGE));
            }
        };
        if let Err(problems) = format(&bytes) {
            let (tree, _) = parse(&bytes);
            eprintln!("{}", render::diagnostics(&path.display().to_string(), &tree, &problems));
            return Ok(ExitCode::from(USAGE));
        }
        canonical.push((path.display().to_string(), bytes));
    }
    let [(old_name, old), (new_name, new)] = canonical.as_slice() else { return Ok(ExitCode::from(USAGE)) };
    let text = diff(DiffFile { name: old_name, bytes: old }, DiffFile { name: new_name, bytes: new }, options.context);
    print!("{text}");
    Ok(if text.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The configuration of a file, or the exit code after its problems have been printed.
fn valid(path: &str, compiled: Compiled) -> Result<hookaido_model::Config, ExitCode> {
    match compiled.config {
        Some(config) => Ok(config),
        None => {
            eprintln!("{}", render::diagnostics(path, &compiled.tree, &compiled.diagnostics));
            Err(ExitCode::FAILURE)
        }
    }
}

fn explanation(options: &Explain) -> Result<ExitCode, String> {
    let (path, compiled) = compiled(&options.file)?;
    let config = match valid(&path, compiled) {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let question = Question::new(&options.method, &options.url, &options.header)?;
    let answer = explain(&config, &question);
    for (route, reason) in &answer.routes {
        match reason {
            Some(reason) => println!("{route}: no, {reason}"),
            None => println!("{route}: yes"),
        }
    }
    if answer.applies.is_empty() {
        println!("no route takes this request: 404");
        return Ok(ExitCode::FAILURE);
    }
    for line in &answer.applies {
        println!("  {line}");
    }
    Ok(ExitCode::SUCCESS)
}

fn adapted(options: &File) -> Result<ExitCode, String> {
    let (path, compiled) = compiled(options)?;
    Ok(match valid(&path, compiled) {
        Ok(config) => print(&format!("{}\n", pretty(&adapt(&config)))),
        Err(code) => code,
    })
}
