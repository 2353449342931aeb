//! Target frameworks, as far as telling two spellings of one apart needs.

/// What `framework` is compared by: `.NETFramework4.5`, `net45` and
/// `.NETFramework,Version=v4.5` give one key. Frameworks that this does not
/// know give their own text.
pub(super) fn key(framework: &str) -> String {
    let text: String = framework
        .to_ascii_lowercase()
        .replace(",version=v", "")
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let (name, rest) = text.split_at(digits);
    let version_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (version, platform) = rest.split_at(version_end);
    let numbers = numbers(version);
    let modern = version.contains('.') && numbers.first().is_some_and(|major| *major >= 5);
    let name = match name {
        ".netframework" | "" => "netframework",
        "net" if !modern => "netframework",
        ".netcoreapp" | "netcoreapp" | "net" => "netcoreapp",
        ".netstandard" | "netstandard" => "netstandard",
        other => other.trim_start_matches('.'),
    };
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    format!("{name}{}{platform}", numbers.join("."))
}

/// `4.5`, `45` and `4.5.0` are one version; without dots a digit is a number.
fn numbers(version: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = if version.contains('.') {
        version.split('.').map(|n| n.parse().unwrap_or(u32::MAX)).collect()
    } else {
        version.chars().filter_map(|c| c.to_digit(10)).collect()
    };
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn spellings_of_one_framework_have_one_key() {
        for spellings in [
            &[".NETFramework4.5", "net45", ".NETFramework,Version=v4.5", "4.5"][..],
            &[".NETStandard2.0", "netstandard2.0", ".NETStandard,Version=v2.0"],
            &[".NETCoreApp3.1", "netcoreapp3.1"],
            &["net8.0", ".NETCoreApp8.0", "NET8.0", "netcoreapp8.0"],
            &["net8.0-windows7.0", "net8.0-Windows7.0"],
        ] {
            for spelling in spellings {
                assert_eq!(key(spelling), key(spellings[0]), "{spelling}");
            }
        }
    }

    #[test]
    fn different_frameworks_have_different_keys() {
        let different = [
            "net45",
            "net451",
            "net10",
            "net10.0",
            "net8.0",
            "net8.0-windows7.0",
            "netstandard2.0",
            "netstandard2.1",
            "netcoreapp3.1",
            "uap10.0",
            "MonoAndroid10",
        ];
        for (i, left) in different.iter().enumerate() {
            for right in &different[i + 1..] {
                assert_ne!(key(left), key(right), "{left} {right}");
            }
        }
    }
}
