//! Bytes to a compiled configuration: parse, read, lower, check, and everything that is wrong at once.

use std::collections::BTreeSet;

use hookaido_model::config::{Config, PullApi, QueueBackend, Tracing};
use hookaido_syntax::{Diagnostic, MAX_DIAGNOSTICS, Span, Tree, parse};

use crate::check::{Checked, check, check_names};
use crate::lower::{self, Defaults, Lowering};
use crate::placeholder::{RawVar, Resolver};
use crate::read::{Section, read};
use crate::{Context, Environment};

/// What became of a file.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What it means; `None` if any diagnostic is an error.
    pub config: Option<Config>,
    /// What it says about things that are switched off or unused; for tools that show everything.
    pub unused: Option<Unused>,
    /// Everything that is wrong or doubtful, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The file, losslessly.
    pub tree: Tree,
}

/// Parts of a file that its configuration leaves out because nothing uses them.
#[derive(Clone, Debug, PartialEq)]
pub struct Unused {
    /// `defaults`, of which routes have taken what they do not say themselves.
    pub defaults: Defaults,
    /// `pull_api`, also where no route is pulled.
    pub pull_api: PullApi,
    /// `tracing`, also where it is off.
    pub tracing: Option<Tracing>,
}

impl Compiled {
    /// Whether it can run.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.config.is_some()
    }

    /// What keeps it from running.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error())
    }

    /// What is doubtful.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| !diagnostic.is_error())
    }
}

/// Compiles a file. Reads variables and files for placeholders only; secrets stay references.
#[must_use]
pub fn compile(bytes: &[u8], environment: &dyn Environment) -> Compiled {
    let (tree, mut diagnostics) = parse(bytes);
    // Where braces do not match, nothing can be told about what stands in which block.
    let torn = diagnostics.iter().any(|d| matches!(d.code, "E0002" | "E0005" | "E0006" | "E0007" | "E0009"));
    let mut lowered = None;
    if !torn {
        let intact = !diagnostics.iter().any(Diagnostic::is_error);
        let (found, parts) = meaning(&tree, environment, intact);
        let broken: Vec<Span> = diagnostics.iter().filter(|d| d.is_error()).map(|d| d.span).collect();
        diagnostics.extend(found.into_iter().filter(|d| !broken.iter().any(|span| touches(d.span, *span))));
        drop_consequences(&mut diagnostics);
        lowered = Some(parts);
    }
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span, diagnostic.code));
    diagnostics.dedup();
    let failed = diagnostics.iter().any(Diagnostic::is_error);
    limit(&mut diagnostics);
    let (config, unused) = lowered.filter(|_| !failed).unzip();
    Compiled { config, unused, diagnostics, tree }
}

/// SHA-256 of a file, in hex: whether two files are the same, byte for byte.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn touches(a: Span, b: Span) -> bool {
    a.start < b.end && b.start < a.end
}

/// A value whose placeholder failed is wrong for that reason alone.
fn drop_consequences(diagnostics: &mut Vec<Diagnostic>) {
    let failed = |d: &&Diagnostic| matches!(d.code, "E0301" | "E0302" | "E0303");
    let failed: Vec<Span> = diagnostics.iter().filter(failed).map(|d| d.span).take(MAX_DIAGNOSTICS).collect();
    let holds = |d: &Diagnostic| failed.iter().any(|span| d.span.start <= span.start && span.end <= d.span.end);
    diagnostics.retain(|d| !(d.code.starts_with("E02") && holds(d)));
}

/// Keeps the first diagnostics, errors before warnings.
fn limit(diagnostics: &mut Vec<Diagnostic>) {
    if diagnostics.len() > MAX_DIAGNOSTICS {
        let mut kept: Vec<_> = diagnostics.drain(..).enumerate().collect();
        kept.sort_by_key(|(at, diagnostic)| (!diagnostic.is_error(), *at));
        kept.truncate(MAX_DIAGNOSTICS);
        kept.sort_by_key(|(at, _)| *at);
        diagnostics.extend(kept.into_iter().map(|(_, diagnostic)| diagnostic));
    }
}

/// What a tree means. Rules between blocks are checked only where every block could be understood.
fn meaning(tree: &Tree, environment: &dyn Environment, intact: bool) -> (Vec<Diagnostic>, (Config, Unused)) {
    let mut resolver = Resolver::new(tree, environment);
    let mut lowering = Lowering::default();
    let vars = variables(tree, &mut resolver, &mut lowering);
    let top = read(tree.items(), Context::Top, Span::new(0, tree.text().len()), &mut resolver);

    let absent = [
        Section::absent(Context::Ingress),
        Section::absent(Context::PullApi),
        Section::absent(Context::AdminApi),
        Section::absent(Context::QueueLimits),
        Section::absent(Context::Secrets),
        Section::absent(Context::Defaults),
        Section::absent(Context::Observability),
    ];
    let [ingress, pull_api, admin_api, queue_limits, secrets, defaults, observability] = &absent;
    let block = |name: &str, absent| top.section(name).unwrap_or(absent);
    for name in ["ingress", "pull_api", "admin_api"] {
        if let Some(node) = top.find(name) {
            lower::default_listen(&mut lowering, node);
        }
    }
    let ingress = lower::ingress(&mut lowering, block("ingress", ingress));
    let pull_api = lower::pull_api(&mut lowering, block("pull_api", pull_api));
    let admin_api = lower::admin_api(&mut lowering, block("admin_api", admin_api));
    let queue_limits = lower::queue_limits(&mut lowering, block("queue_limits", queue_limits));
    let retentions = lower::retentions(&mut lowering, &top);
    let (secrets, secret_ids) = lower::secrets(&mut lowering, block("secrets", secrets));
    let secret_ids: BTreeSet<String> = secret_ids.into_iter().collect();
    let defaults = lower::defaults(&mut lowering, block("defaults", defaults));
    let (observability, tracing) = lower::observability(&mut lowering, block("observability", observability));
    let matchers = lower::matchers(&mut lowering, &top);
    let scope = lower::Scope { defaults: &defaults, matchers: &matchers, secrets: &secrets, secret_ids: &secret_ids };
    let routes = lower::routes(&mut lowering, &top, &scope, &mut resolver);
    let structured = intact && !resolver.diagnostics.iter().any(Diagnostic::is_error);
    lowering.diagnostics.append(&mut resolver.diagnostics);
    if structured {
        let checked = Checked {
            top: &top,
            ingress: &ingress,
            pull_api: &pull_api,
            admin_api: &admin_api,
            metrics: observability.metrics.as_ref(),
            routes: &routes,
        };
        check(&mut lowering, &checked);
    } else {
        check_names(&mut lowering, &routes);
    }
    let pulled = routes.iter().any(|route| route.pulled);
    let config = Config {
        ingress,
        pull_api: pulled.then(|| pull_api.clone()),
        admin_api,
        queue_limits,
        retentions,
        backend: routes.first().map_or(QueueBackend::default(), |route| route.route.backend),
        egress: defaults.egress.clone(),
        publish_policy: defaults.publish_policy.clone(),
        trend_signals: defaults.trend_signals.clone(),
        adaptive_backpressure: defaults.adaptive_backpressure.clone(),
        max_body: defaults.max_body,
        max_headers: defaults.max_headers,
        observability,
        secrets,
        vars,
        routes: routes.into_iter().map(|route| route.route).collect(),
    };
    (lowering.diagnostics, (config, Unused { defaults, pull_api, tracing }))
}

/// The `vars` block, which must be known before any other word is read.
fn variables(
    tree: &Tree,
    resolver: &mut Resolver<'_>,
    lowering: &mut Lowering,
) -> std::collections::BTreeMap<String, String> {
    let layout = crate::layout::BlockLayout(Context::Top);
    let statements = hookaido_syntax::statements(tree.items(), &[], &layout);
    let block = statements.iter().find(|s| s.name().is_some_and(|name| name.is("vars"))).and_then(|s| s.block());
    let Some(block) = block else { return std::collections::BTreeMap::new() };
    let layout = crate::layout::BlockLayout(Context::Vars);
    let mut raw: Vec<RawVar<'_>> = Vec::new();
    let mut first: std::collections::BTreeMap<&str, Span> = std::collections::BTreeMap::new();
    for statement in hookaido_syntax::statements(&block.items, &[], &layout) {
        let (Some(name), Some(value)) = (statement.name(), statement.args().next()) else { continue };
        let text = crate::value::trim(&name.value);
        if !crate::value::is_variable_name(text) {
            let message = format!("`{}` is not the name of a variable", name.value.escape_debug());
            lowering.error_help(
                "E0304",
                name.span,
                message,
                "write letters, digits and `_`, not starting with a digit",
            );
        } else if let Some(&earlier) = first.get(text) {
            lowering.report(
                Diagnostic::error("E0305", name.span, format!("there are two variables `{text}`"))
                    .with_related(earlier, "first defined here")
                    .with_help("remove one of them"),
            );
        } else {
            first.insert(text, name.span);
            raw.push(RawVar { name: text, value });
        }
    }
    resolver.set_vars(&raw)
}
