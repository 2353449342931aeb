//! A function: its `function.yaml` and its routes, as resources of the template.

use std::path::{Path, PathBuf};
use std::{fs, io};

use access::Scope;
use protocol::{Access, Route, paths};

/// A function under functions/.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name in the template: `Push`.
    pub(crate) name: String,
    /// Its description in `function.yaml`.
    pub(crate) description: String,
    /// Whether an alarm rings for its errors.
    pub(crate) is_watched: bool,
    folder: String,
    routes: &'static [Route],
    properties: String,
    statements: String,
    resources: String,
}

/// A function is not described as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FunctionError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}; each folder under functions/ has a function.yaml", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It has an unknown section.
    #[error("{} has a section '{section}'; it may have Properties, Statements, Watched and Resources", .path.display())]
    UnknownSection {
        /// The file.
        path: PathBuf,
        /// The section.
        section: String,
    },
    /// It lacks what every function has.
    #[error("{} has no Description among its Properties", .path.display())]
    NoDescription {
        /// The file.
        path: PathBuf,
    },
}

impl Function {
    /// The functions in `folders`, by name.
    pub(crate) fn all(folders: &Path) -> Result<Vec<Self>, FunctionError> {
        let unreadable = |source| FunctionError::Unreadable { path: folders.to_owned(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(folders).map_err(unreadable)? {
            names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        let names = names.iter().filter(|name| *name != "shared");
        names.map(|name| Self::read(folders, name)).collect()
    }

    fn read(folders: &Path, folder: &str) -> Result<Self, FunctionError> {
        let path = folders.join(folder).join("function.yaml");
        let text = fs::read_to_string(&path)
            .map_err(|source| FunctionError::Unreadable { path: path.clone(), source })?;
        let routes = registry::ROUTES.iter().find(|(verb, _)| *verb == folder);
        let mut function = Self {
            name: camel_case(folder),
            description: String::new(),
            is_watched: true,
            folder: folder.to_owned(),
            routes: routes.map_or(&[], |(_, routes)| routes),
            properties: String::new(),
            statements: String::new(),
            resources: String::new(),
        };
        let mut section = "";
        for line in text.lines() {
            match line.split_once(':') {
                Some((name, value)) if !line.starts_with([' ', '#']) => {
                    section = name;
                    match name {
                        "Properties" | "Statements" | "Resources" => {}
                        "Watched" => function.is_watched = value.trim() != "false",
                        _ => {
                            let section = name.to_owned();
                            return Err(FunctionError::UnknownSection { path, section });
                        }
                    }
                }
                // A comment about the file, and not about a line of it.
                _ if line.starts_with('#') || line.is_empty() => {}
                _ => function.take(section, line),
            }
        }
        if function.description.is_empty() {
            return Err(FunctionError::NoDescription { path });
        }
        Ok(function)
    }

    fn take(&mut self, section: &str, line: &str) {
        let (into, indent) = match section {
            "Properties" => (&mut self.properties, "    "),
            "Statements" => (&mut self.statements, "            "),
            _ => (&mut self.resources, ""),
        };
        into.push_str(indent);
        into.push_str(line);
        into.push('\n');
        if let Some(description) = line.strip_prefix("  Description: ") {
            description.clone_into(&mut self.description);
        }
    }

    /// Whether its routes change the feed.
    pub(crate) fn writes(&self) -> bool {
        self.routes.iter().any(|route| match route.access {
            // The one route that needs no key and writes: it gives keys.
            Access::Open => route.path == paths::TOKEN,
            Access::Key(Scope::Read)
            | Access::ReadByKey
            | Access::ReadOrChecksum
            | Access::ReadOrSession => false,
            Access::Key(_) => true,
        })
    }

    /// Whether it has routes.
    pub(crate) fn is_verb(&self) -> bool {
        !self.routes.is_empty()
    }

    /// The function, its role and its log, and any other resources of it.
    pub(crate) fn resources(&self) -> String {
        let Self { name, folder, properties, statements, resources, .. } = self;
        let alarms = if self.is_watched {
            format!("!Ref {name}Errors, !Ref ApiFailures")
        } else {
            "!Ref ApiFailures".to_owned()
        };
        let more = if resources.is_empty() { String::new() } else { format!("\n{resources}") };
        format!(
            r#"  {name}Function:
    Type: AWS::Serverless::Function
    Metadata:
      BuildMethod: rust-cargolambda
    Properties:
      CodeUri: functions/{folder}
      Role: !GetAtt {name}Role.Arn
      DeploymentPreference:
        Type: !Sub "CodeDeployDefault.Lambda${{Deployment}}"
        Alarms: !If [IsGradual, [{alarms}], [!Ref AWS::NoValue]]
      LoggingConfig:
        LogFormat: JSON
        # Lambda's own lines about a request are nearly as long as the verb's.
        SystemLogLevel: WARN
        LogGroup: !Ref {name}Log
{properties}{events}
  {name}Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal:
              Service: lambda.amazonaws.com
            Action: sts:AssumeRole
      Policies:
        - PolicyName: {folder}
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Sid: WriteLog
                Effect: Allow
                Action: [logs:CreateLogStream, logs:PutLogEvents]
                Resource: !GetAtt {name}Log.Arn
{statements}
  {name}Log:
    Type: AWS::Logs::LogGroup
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      LogGroupClass: !Ref LogClass
      RetentionInDays: !Ref LogRetentionDays
{count}{more}"#,
            events = self.events(),
            count = self.count(),
        )
    }

    /// The count of a verb's requests by outcome, out of its log: it costs nothing where there
    /// is no dashboard.
    fn count(&self) -> String {
        if !self.is_verb() {
            return String::new();
        }
        let Self { name, .. } = self;
        format!(
            r#"
  {name}Requests:
    Type: AWS::Logs::MetricFilter
    Condition: HasDashboard
    Properties:
      LogGroupName: !Ref {name}Log
      FilterPattern: '{{ $.fields.outcome = "*" }}'
      MetricTransformations:
        - MetricNamespace: !Sub "Nuthatch/${{AWS::StackName}}"
          MetricName: {name}
          MetricValue: "1"
          Unit: Count
          Dimensions: [{{Key: Outcome, Value: $.fields.outcome}}]
"#
        )
    }

    fn events(&self) -> String {
        if self.routes.is_empty() {
            return String::new();
        }
        let events = self.routes.iter().flat_map(|route| {
            route.methods.iter().map(move |method| {
                let name = camel_case(&method.as_str().to_lowercase()) + &words(route.path);
                let authorizer =
                    |name| format!("            Auth:\n              Authorizer: {name}\n");
                let auth = match route.access {
                    Access::Open => authorizer("NONE"),
                    access if access.is_remembered() => String::new(),
                    _ => authorizer("EveryRequest"),
                };
                format!(
                    "        {name}:\n          Type: Api\n          Properties:\n            \
                     RestApiId: !Ref Api\n            Method: {method}\n            \
                     Path: {}\n{auth}",
                    route.path
                )
            })
        });
        let events: String = events.collect();
        format!("      Events:\n{events}")
    }
}

/// The words of a path, each with a capital: `V3PackageIdIndexJson`.
fn words(path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    words.map(camel_case).collect()
}

fn camel_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}
