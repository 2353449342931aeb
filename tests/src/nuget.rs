//! How nuget.exe is run.

/// The options with which nuget.exe installs into the folder `out`: from the feed and not from
/// a cache, and with the package itself kept.
pub const INSTALL_OPTIONS: [&str; 8] = [
    "-OutputDirectory",
    "out",
    "-ConfigFile",
    "nuget.config",
    "-NoCache",
    "-DirectDownload",
    "-PackageSaveMode",
    "nupkg",
];
