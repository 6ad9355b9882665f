using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Reflection;

namespace Mayfly {

/// Makes values of the types that a handler names out of parsed JSON, and reads them again: public
/// properties and fields, by name without case; attributes that name them otherwise are heeded.
static class Binder {
  /// A value of the type. JsonException says why it cannot be.
  public static object Bind(object value, Type type) {
    Type inner = Nullable.GetUnderlyingType(type);
    if (inner != null) return value == null ? null : Bind(value, inner);
    if (value == null) return type.IsValueType ? Activator.CreateInstance(type) : null;
    if (type.IsInstanceOfType(value)) return value;
    if (type == typeof(byte[]) && value is string) return Convert.FromBase64String((string)value);
    if (type.IsArray) return Array(Items(value, type), type.GetElementType());
    if (value is Dictionary<string, object>) return Object((Dictionary<string, object>)value, type);
    if (value is List<object>) return List((List<object>)value, type);
    return Scalar(value, type);
  }

  static JsonException Mismatch(object value, Type type) {
    string what = value is IDictionary ? "an object" : value is IList ? "an array" : Convert.ToString(value, CultureInfo.InvariantCulture);
    return new JsonException("cannot make a " + type + " of " + what);
  }

  static List<object> Items(object value, Type type) {
    var items = value as List<object>;
    if (items == null) throw Mismatch(value, type);
    return items;
  }

  static object Array(List<object> items, Type element) {
    var array = System.Array.CreateInstance(element, items.Count);
    for (int i = 0; i < items.Count; i++) array.SetValue(Bind(items[i], element), i);
    return array;
  }

  static Type Argument(Type type, Type generic, int index) {
    foreach (var one in new[] {type}.Concat(type.GetInterfaces()))
      if (one.IsGenericType && one.GetGenericTypeDefinition() == generic) return one.GetGenericArguments()[index];
    return null;
  }

  static object List(List<object> items, Type type) {
    Type element = Argument(type, typeof(IEnumerable<>), 0) ?? typeof(object);
    if (type.IsInterface) type = typeof(List<>).MakeGenericType(element);
    object list = Create(type);
    MethodInfo add = type.GetMethod("Add", new[] {element});
    if (add == null) throw Mismatch(items, type);
    foreach (object item in items) add.Invoke(list, new[] {Bind(item, element)});
    return list;
  }

  static object Create(Type type) {
    try {
      return Activator.CreateInstance(type, true);
    } catch (MissingMethodException) {
      throw new JsonException("cannot make a " + type + ": it has no constructor without arguments");
    }
  }

  static object Object(Dictionary<string, object> values, Type type) {
    if (type.IsPrimitive || type == typeof(string) || type.IsEnum) throw Mismatch(values, type);
    Type element = Argument(type, typeof(IDictionary<,>), 1);
    if (element != null) {
      Type key = Argument(type, typeof(IDictionary<,>), 0);
      if (type.IsInterface) type = typeof(Dictionary<,>).MakeGenericType(key, element);
      var map = (IDictionary)Create(type);
      foreach (var pair in values) map[Bind(pair.Key, key)] = Bind(pair.Value, element);
      return map;
    }
    object made = Create(type);
    var given = new Dictionary<string, object>(values, StringComparer.OrdinalIgnoreCase);
    object value;
    foreach (var property in type.GetProperties(BindingFlags.Instance | BindingFlags.Public))
      if (property.CanWrite && property.GetIndexParameters().Length == 0 && given.TryGetValue(Name(property), out value))
        property.SetValue(made, Bind(value, property.PropertyType), null);
    foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public))
      if (!field.IsInitOnly && given.TryGetValue(Name(field), out value)) field.SetValue(made, Bind(value, field.FieldType));
    return made;
  }

  static string Name(MemberInfo member) {
    foreach (object attribute in member.GetCustomAttributes(true)) {
      string kind = attribute.GetType().Name;
      string from = kind == "JsonPropertyAttribute" ? "PropertyName" : kind == "JsonPropertyNameAttribute" || kind == "DataMemberAttribute" ? "Name" : null;
      string name = from == null ? null : (string)attribute.GetType().GetProperty(from).GetValue(attribute, null);
      if (!string.IsNullOrEmpty(name)) return name;
    }
    return member.Name;
  }

  static object Scalar(object value, Type type) {
    string text = Convert.ToString(value, CultureInfo.InvariantCulture);
    try {
      if (type == typeof(string)) return value is bool ? text.ToLowerInvariant() : text;
      if (type.IsEnum) return Enum.Parse(type, text, true);
      if (type == typeof(Guid)) return Guid.Parse(text);
      if (type == typeof(Uri)) return new Uri(text, UriKind.RelativeOrAbsolute);
      if (type == typeof(TimeSpan)) return TimeSpan.Parse(text, CultureInfo.InvariantCulture);
      if (type == typeof(DateTime)) return DateTime.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind);
      if (type == typeof(DateTimeOffset)) return DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);
      return Convert.ChangeType(value, type, CultureInfo.InvariantCulture);
    } catch (Exception error) when (error is FormatException || error is InvalidCastException || error is OverflowException || error is ArgumentException) {
      throw Mismatch(value, type);
    }
  }

  /// What an object says of itself, by name.
  public static IEnumerable<KeyValuePair<string, object>> Read(object value) {
    Type type = value.GetType();
    if (value is Delegate || value is Type || type.IsPointer || type.Namespace != null && type.Namespace.StartsWith("System.Threading"))
      throw new JsonException("a " + type + " is no JSON");
    foreach (var property in type.GetProperties(BindingFlags.Instance | BindingFlags.Public))
      if (property.CanRead && property.GetIndexParameters().Length == 0)
        yield return new KeyValuePair<string, object>(Name(property), property.GetValue(value, null));
    foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public))
      yield return new KeyValuePair<string, object>(Name(field), field.GetValue(value));
  }
}
}
